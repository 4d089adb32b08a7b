# SPDX-License-Identifier: MIT
"""metrics --listen."""
import contextlib
import re
import signal
import socket
import urllib.error
import urllib.request

from harness import FAIL, USAGE, Run, Skip, case, check, equal, run, stopped, until
from samples import one, parse, promtool
from topics import full, lagging, publish

NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextlib.contextmanager
def listening(*args, where="0"):
    r = Run("metrics", "--listen", where, *args)
    until(lambda: "/metrics" in r.err or r.p.poll() is not None, "where it listens")
    if "no HTTP library" in r.err:
        r.ends(FAIL)
        raise Skip("built without libmicrohttpd-dev")
    yield re.search(r"http:/{2}\S+", r.err).group(), r
    if r.p.poll() is None:
        r.kill(signal.SIGTERM).ends(143)


def get(url, method="GET", data=None):
    """Status, headers and text."""
    ask = urllib.request.Request(url, method=method, data=data)
    try:
        with NO_PROXY.open(ask, timeout=60) as r:
            return r.status, r.headers, r.read().decode()
    except urllib.error.HTTPError as e:
        with e:
            return e.code, e.headers, e.read().decode()


@case
def a_scrape_has_the_present_state():
    publish("t", 3, "--persist")
    with listening() as (url, _):
        check("//127.0.0.1:" in url, url)
        status, headers, text = get(url)
        equal((status, headers["Content-Type"]), (200, "text/plain; version=0.0.4; charset=utf-8"))
        equal(one(parse(text)[0], "shmipc_published_messages_total"), 3)
        publish("t", 4)
        equal(one(parse(get(url)[2])[0], "shmipc_published_messages_total"), 7)
        equal(promtool(get(url)[2]), None, "promtool")
    run("rm", "t")


@case
def other_paths_and_methods_are_refused():
    with listening() as (url, _):
        top = url[:-len("/metrics")]
        equal(get(top + "/nonesuch")[0], 404)
        status, headers, text = get(top + "/")
        check(status == 200 and 'href="/metrics"' in text, text)
        status, headers, _ = get(url, "POST", b"x" * 100000)
        equal((status, headers["Allow"]), (405, "GET, HEAD"))
        status, headers, text = get(url, "HEAD")
        equal((status, text), (200, ""))
        equal(get(url + "?x=y")[0], 200)


@case
def nonsense_and_silence_do_not_stop_it():
    with listening() as (url, _):
        port = int(url.split(":")[2].split("/")[0])
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
        for junk in b"\0\xff" * 1000, b"GET\r\n\r\n", b"GET /metrics HTTP/9.9\r\n\r\n", b"x" * 100000:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as s:
                s.sendall(junk)
                s.shutdown(socket.SHUT_WR)
                s.recv(1000)
        equal(get(url)[0], 200)
        for s in silent:
            s.close()


@case
def histograms_are_sampled_while_it_runs():
    with lagging(t=100), listening("--every", "0.01") as (url, _):
        publish("other", 1, "--persist")

        def told():
            m = parse(get(url)[2])[0]
            n = {x[1]: v for x, v in m.items() if x[0] == "shmipc_sampled_lag_messages_count"}
            return n.get("segment=t", 0) >= 5 and n.get("segment=other", 0) >= 1 and m
        m = until(told, "samples")
        n = one(m, "shmipc_sampled_lag_messages_count", segment="t")
        equal(one(m, "shmipc_sampled_lag_messages_sum", segment="t"), 100 * n)
        for le, value in ("64", 0), ("256", n), ("+Inf", n):
            equal(one(m, "shmipc_sampled_lag_messages_bucket", segment="t", le=le), value, le)
        n = one(m, "shmipc_sampled_occupancy_ratio_count", segment="t")
        for le, value in ("0", 0), ("0.1", n), ("+Inf", n):
            equal(one(m, "shmipc_sampled_occupancy_ratio_bucket", segment="t", le=le), value, le)
        n = one(m, "shmipc_sampled_occupancy_ratio_count", segment="other")
        equal(one(m, "shmipc_sampled_occupancy_ratio_bucket", segment="other", le="0"), n)
        run("rm", "other")


@case
def histograms_begin_anew_with_the_topic():
    publish("t", 1, "--persist")
    with listening("--every", "0.01") as (url, r):
        def count():
            m = parse(get(url)[2])[0]
            return next((v for k, v in m.items() if k[0] == "shmipc_sampled_lag_messages_count"), 0)
        n = until(lambda: count() > 200 and count(), "samples")
        stopped(r)      # it does not see that the topic is missing in between
        run("rm", "t")
        publish("t", 1, "--persist")
        r.kill(signal.SIGCONT)
        check(count() < n, "of the old topic")
    run("rm", "t")


@case
def invalid_addresses_are_refused():
    for where, what in (("x", "expected PORT"), ("70000", "65535"), ("1.2.3:", "expected PORT"),
                        (":9", "before the colon"), ("999.1.1.1:80", "not a valid address"),
                        ("-1", "expected PORT"), ("", "expected PORT")):
        r = Run("metrics", "--listen", where)
        if r.wait() == FAIL and "no HTTP library" in r.err:
            raise Skip("built without libmicrohttpd-dev")
        r.ends(USAGE)
        check(what in r.err and "--listen" in r.err, where, r.err)


@case
def a_port_in_use_is_reported():
    with listening() as (url, _):
        where = url.split("/")[2]
        r = run("metrics", "--listen", where, code=FAIL)
        check("EADDRINUSE" in r.err and where in r.err, r.err)
    r = run("metrics", "--listen", "192.0.2.1:0", code=FAIL)
    check("EADDRNOTAVAIL" in r.err, r.err)


@case
def it_listens_at_the_given_address():
    with listening(where="localhost:0") as (url, _):
        equal(get(url)[0], 200)
    with contextlib.closing(socket.socket(socket.AF_INET6)) as s:
        try:
            s.bind(("::1", 0))
        except OSError:
            return
    with listening(where="[::1]:0") as (url, _):
        check("//[::1]:" in url, url)
        equal(get(url)[0], 200)


@case
def waiting_publishers_are_scraped():
    with full("t") as (sub, pub), listening() as (url, _):
        until(lambda: re.search(r'^shmipc_publisher_waits_for\{segment="t",.*pid="%d",.*for_pid="%d".*\} 1$'
                                % (pub.p.pid, sub.p.pid), get(url)[2], re.M), "the publisher that waits")
