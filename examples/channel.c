// SPDX-License-Identifier: MIT
/*
 * channel.c - two processes, one lossless channel, found by its name
 *
 * Either side may come first. The receiver sleeps while there is nothing to receive, and
 * learns that the sender has ended after it has received the last message.
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <shmipc/shmipc.h>

#define MESSAGES 1000
#define RING	SHMIPC_SEGMENT_OPTS(.kind = SHMIPC_KIND_SPSC, .flags = SHMIPC_CREATE)

static int fail(const char *what, int err)
{
	fprintf(stderr, "channel: %s: %s: %s\n", what, shmipc_error_name(err),
		shmipc_error_text());
	return 1;
}

static int sender(const char *name)
{
	struct shmipc_channel *ch;
	char text[64];
	int i, ret;

	ret = shmipc_channel_open(&ch, name, SHMIPC_ROLE_PRODUCER, &RING, NULL);
	if (ret)
		return fail("open to send", ret);
	for (i = 0; i < MESSAGES && !ret; i++) {
		int len = snprintf(text, sizeof(text), "message %d", i);

		ret = shmipc_channel_send(ch, text, (size_t)len, SHMIPC_FOREVER);
	}
	if (!ret)
		ret = shmipc_channel_drain(ch, SHMIPC_FOREVER);
	shmipc_channel_close(ch);
	return ret ? fail("send", ret) : 0;
}

static int receiver(const char *name)
{
	struct shmipc_channel *ch;
	char text[64], want[64];
	int i = 0, ret;
	size_t len;

	ret = shmipc_channel_open(&ch, name, SHMIPC_ROLE_CONSUMER, &RING, NULL);
	if (ret)
		return fail("open to receive", ret);
	for (;;) {
		ret = shmipc_channel_recv(ch, text, sizeof(text) - 1, &len, SHMIPC_FOREVER);
		if (ret)
			break;
		text[len] = 0;
		snprintf(want, sizeof(want), "message %d", i++);
		if (strcmp(text, want)) {
			fprintf(stderr, "channel: got \"%s\", wanted \"%s\"\n", text, want);
			return 1;
		}
	}
	shmipc_channel_close(ch);
	printf("channel: %d messages received\n", i);
	return ret == -EPIPE && i == MESSAGES ? 0 : fail("receive", ret);
}

int main(void)
{
	char name[64];
	int status, ret;
	pid_t child;

	snprintf(name, sizeof(name), "example/channel-%d", (int)getpid());
	child = fork();		/* before anything is opened: handles are not inherited */
	if (child < 0)
		return 1;
	if (!child)
		_exit(sender(name));
	ret = receiver(name);
	if (waitpid(child, &status, 0) != child || status)
		ret = 1;
	return ret;
}
