# SPDX-License-Identifier: MIT
"""The dashboard uses metrics that exist."""
import json
import os
import re

from harness import TOP, case, check, equal
from cases_http import get, listening
from samples import family, parse
from topics import full


def dashboard():
    with open(os.path.join(TOP, "tools", "grafana", "shmipc.json"), encoding="utf-8") as f:
        return json.load(f)


@case
def every_metric_of_the_dashboard_exists():
    exprs = [t["expr"] for p in dashboard()["panels"] for t in p["targets"]]
    exprs += [v["definition"] for v in dashboard()["templating"]["list"] if "definition" in v]
    named = {x for e in exprs for x in re.findall(r"shmipc_\w+", e)}
    check(len(named) > 10, named)
    with full("t"), listening() as (url, _):
        _, types = parse(get(url)[2])
        equal(sorted({family(x, types) for x in named} - set(types)), [], "exported by no metric")
        labels = dict(re.findall(r"^(shmipc_\w+)\{([^}]*)\}", get(url)[2], re.M))
    # The labels in legends exist, too.
    for p in dashboard()["panels"]:
        for t in p["targets"]:
            metric = re.findall(r"shmipc_\w+", t["expr"])[0]
            for key in re.findall(r"\{\{(\w+)\}\}", t["legendFormat"]):
                check(metric not in labels or key + '="' in labels[metric], p["title"], metric, key)


@case
def the_dashboard_can_be_imported():
    d = dashboard()
    equal((d["title"], d["uid"]), ("shmipc", "shmipc"))
    ids = [p["id"] for p in d["panels"]]
    equal(len(ids), len(set(ids)), "ids of panels")
    variables = {v["name"] for v in d["templating"]["list"]}
    for p in d["panels"]:
        check(p["title"] and p["targets"] and set(p["gridPos"]) == set("xywh"), p)
        for t in p["targets"]:
            used = set(re.findall(r"\$(\w+)", t["expr"])) - {"__rate_interval"}
            check(used <= variables, used)
            equal(t["expr"].count("("), t["expr"].count(")"), "parentheses")
    for title in "Messages", "Lag", "Losses", "Occupancy", "Waiting publishers":
        check(any(p["title"].startswith(title) for p in d["panels"]), title)
