/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * hold: many event streams in one thread, and one client that pushes. It is
 * told what to do in lines, and answers each with a line of JSON.
 *
 *	hold --connect HOST:PORT [--prefix /replicache] [--most STREAMS]
 *
 *	open N         opens N streams more; done when all have begun
 *	push N MS      N pushes, each when all streams that are open were told
 *	               of the one before, and MS, more or less, have passed
 *	expect V       waits until all streams were told of the version V
 *	freeze N       N streams are read no more
 *	close          closes all
 *
 * Pushes count on nobody else writing meanwhile: each makes the next version.
 * Every answer has the state of the streams, when they were told to come back
 * (retry_least and retry_most), what was found wrong so far: errors, which must
 * never happen; and missing: streams that were not told in time, now.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "hold.h"

/* Streams that are being opened at a time, as many as nginx is told to let
 * wait. */
#define ASKING_MOST 256

/* How long anything may take before it counts as missed. */
#define PATIENCE_US (30 * INT64_C(1000000))

/* How often it is looked who comes back. */
#define LOOK_US 20000

/* Latencies are counted by the tenth of a ms. */
#define SLOT_US 100
#define SLOTS 100000

struct latencies {
	size_t slots[SLOTS];
	size_t count;
};

/* The loop's own state. */
struct driver {
	struct hold hold; /* first: told() finds the rest */
	struct http pusher;
	long pushed; /* mutations that were confirmed */
	char tag[32];
	int64_t look_us;
	/* The push under way, or the last one. */
	int64_t sent_us, answered_us; /* 0: not yet */
	bool timing;
	struct latencies sent, answered;
};

void
hold_die(const char *what)
{
	fprintf(stderr, "hold: %s: %s\n", what, strerror(errno));
	exit(1);
}

void
hold_error(struct hold *hold, const char *what, int64_t number)
{
	if (hold->errors++ == 0)
		snprintf(hold->first_error, sizeof(hold->first_error),
		    "%s %lld", what, (long long)number);
}

static void
enter(struct latencies *latencies, int64_t us)
{
	size_t slot = us < 0 ? 0 : (size_t)(us / SLOT_US);

	latencies->slots[slot < SLOTS ? slot : SLOTS - 1]++;
	latencies->count++;
}

/* The latency that a part Q of all does not pass, in ms. */
static double
quantile_ms(const struct latencies *latencies, double q)
{
	size_t wanted = (size_t)(q * (double)latencies->count), seen = 0;

	for (size_t i = 0; i < SLOTS; i++) {
		seen += latencies->slots[i];
		if (seen > 0 && seen >= wanted)
			return (double)((i + 1) * SLOT_US) / 1000;
	}
	return 0;
}

/* A stream was told of the version that is waited for. One that was opened
 * after the push learned of it by opening. */
static void
note_told(struct hold *hold, const struct holding *holding)
{
	struct driver *driver = (struct driver *)hold;
	int64_t now;

	if (!driver->timing || holding->opened_us > driver->sent_us)
		return;
	now = http_clock_us();
	enter(&driver->sent, now - driver->sent_us);
	/* The poke may overtake the answer. */
	enter(&driver->answered,
	    driver->answered_us == 0 ? 0 : now - driver->answered_us);
}

/* Opens those that are to come back, as many as may at a time. */
static void
look(struct driver *driver)
{
	struct hold *hold = &driver->hold;
	int64_t now = http_clock_us();

	driver->look_us = now + LOOK_US;
	for (size_t i = 0;
	     i < hold->count && hold->in[HOLDING_ASKING] < ASKING_MOST; i++)
		if (hold->holdings[i].state == HOLDING_AWAY &&
		    hold->holdings[i].again_us <= now)
			holding_open(&hold->holdings[i]);
}

/* Takes what happens within US. */
static void
turn(struct driver *driver, int64_t us)
{
	struct hold *hold = &driver->hold;
	struct epoll_event events[256];
	int64_t now = http_clock_us();
	int n;

	if (us > driver->look_us - now)
		us = driver->look_us - now;
	n = epoll_wait(
	    hold->epoll, events, 256, us < 0 ? 0 : (int)((us + 999) / 1000));
	for (int i = 0; i < n; i++) {
		struct holding *holding = events[i].data.ptr;

		/* The other one is the pusher's, or standard input. */
		if (holding != NULL)
			holding_attend(holding);
	}
	if (hold->in[HOLDING_AWAY] > 0 && http_clock_us() >= driver->look_us)
		look(driver);
	else if (hold->in[HOLDING_AWAY] == 0)
		driver->look_us = http_clock_us() + LOOK_US;
}

static void
rest(struct driver *driver, int64_t us)
{
	int64_t end = http_clock_us() + us, left;

	while ((left = end - http_clock_us()) > 0)
		turn(driver, left);
}

/* From now on streams are waited for to know of VERSION: those that are open,
 * and if ALL, those that are to come back as well. */
static void
aim(struct hold *hold, int64_t version, bool all)
{
	hold->target = version;
	hold->all = all;
	hold->awaited = 0;
	for (size_t i = 0; i < hold->count; i++) {
		struct holding *holding = &hold->holdings[i];

		holding->awaited = holding->version < version &&
				   holding->state != HOLDING_FROZEN &&
				   (all || holding->state == HOLDING_OPEN);
		if (holding->awaited)
			hold->awaited++;
	}
}

/* Waits for them; the number of those that were not told in time. */
static size_t
await(struct driver *driver)
{
	int64_t end = http_clock_us() + PATIENCE_US;

	while (driver->hold.awaited > 0 && http_clock_us() < end)
		turn(driver, LOOK_US);
	return driver->hold.awaited;
}

static void
watch(struct driver *driver, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

	if (epoll_ctl(driver->hold.epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		hold_die("epoll_ctl");
}

static void
begin_push(struct driver *driver)
{
	char body[512], path[128];
	int length = snprintf(body, sizeof(body),
	    "{\"profileID\":\"p\",\"clientGroupID\":\"%s\",\"mutations\":["
	    "{\"id\":%ld,\"name\":\"createMessage\",\"args\":{\"id\":"
	    "\"%s-%ld\",\"from\":\"hold\",\"content\":\"hello\",\"order\":%ld},"
	    "\"timestamp\":1.5,\"clientID\":\"%s\"}],"
	    "\"pushVersion\":1,\"schemaVersion\":\"\"}",
	    driver->tag, driver->pushed + 1, driver->tag, driver->pushed + 1,
	    driver->pushed + 1, driver->tag);

	snprintf(path, sizeof(path), "%s/push", driver->hold.prefix);
	if (http_connect(&driver->pusher, &driver->hold.address) < 0)
		hold_die("connect");
	watch(driver, driver->pusher.fd);
	http_begin(&driver->pusher, path, "Connection: close\r\n", body,
	    (size_t)length);
	driver->answered_us = 0;
	driver->sent_us = http_clock_us();
	if (http_send(&driver->pusher) != HTTP_DONE)
		hold_die("a push");
}

/* Pushes once. Streams are read meanwhile. */
static void
push(struct driver *driver)
{
	int64_t end = http_clock_us() + PATIENCE_US;
	enum http_state state;

	begin_push(driver);
	while ((state = http_receive(&driver->pusher)) == HTTP_MORE &&
	       http_clock_us() < end)
		turn(driver, LOOK_US);
	if (state != HTTP_DONE || driver->pusher.status != 200) {
		fprintf(stderr, "hold: a push was answered with %d\n",
		    driver->pusher.status);
		exit(1);
	}
	driver->answered_us = http_clock_us();
	driver->pushed++;
	close(driver->pusher.fd);
	driver->pusher.fd = -1;
}

/* Answers a command: a format for what is its own, and what all have. */
static void answer(const struct hold *hold, size_t missing, const char *format,
    ...) __attribute__((format(printf, 3, 4)));

static void
answer(const struct hold *hold, size_t missing, const char *format, ...)
{
	long least = LONG_MAX, most = 0;
	va_list args;

	for (size_t i = 0; i < hold->count; i++) {
		long retry = hold->holdings[i].retry_ms;

		least = retry < least ? retry : least;
		most = retry > most ? retry : most;
	}
	putchar('{');
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\"missing\":%zu,\"open\":%zu,\"frozen\":%zu,\"away\":%zu,"
	       "\"reopened\":%zu,\"refused\":%zu,\"cut\":%zu,"
	       "\"retry_least\":%ld,\"retry_most\":%ld,"
	       "\"version\":%lld,\"errors\":%zu,\"first_error\":\"%s\"}\n",
	    missing, hold->in[HOLDING_OPEN], hold->in[HOLDING_FROZEN],
	    hold->in[HOLDING_AWAY], hold->reopened, hold->refused, hold->cut,
	    least, most, (long long)hold->known, hold->errors,
	    hold->first_error);
	fflush(stdout);
}

static double
seconds_since(int64_t us)
{
	return (double)(http_clock_us() - us) / 1e6;
}

static void
do_open(struct driver *driver, long count)
{
	struct hold *hold = &driver->hold;
	int64_t begun = http_clock_us();

	for (long i = 0; i < count && hold->count < hold->most; i++)
		holding_init(&hold->holdings[hold->count++], hold, hold->known);
	driver->look_us = 0;
	while (hold->in[HOLDING_AWAY] + hold->in[HOLDING_ASKING] > 0 &&
	       http_clock_us() < begun + 2 * PATIENCE_US) {
		if (hold->in[HOLDING_ASKING] < ASKING_MOST)
			driver->look_us = 0;
		turn(driver, LOOK_US);
	}
	/* The first one may begin before the version is known. */
	aim(hold, hold->known > 0 ? hold->known : 1, true);
	answer(hold, await(driver), "\"seconds\":%.3f,", seconds_since(begun));
}

static void
do_push(struct driver *driver, long count, long ms)
{
	struct hold *hold = &driver->hold;
	size_t missing = 0;
	long done;

	memset(&driver->sent, 0, sizeof(driver->sent));
	memset(&driver->answered, 0, sizeof(driver->answered));
	driver->timing = true;
	for (done = 0; done < count && missing == 0; done++) {
		/* From half of it to one and a half. */
		rest(driver, ms * 500 + (ms > 0 ? rand() % (ms * 1000) : 0));
		aim(hold, hold->known + 1, false);
		push(driver);
		missing = await(driver);
	}
	driver->timing = false;
	answer(hold, missing,
	    "\"pushes\":%ld,\"pokes\":%zu,\"p50_ms\":%.1f,\"p99_ms\":%.1f,"
	    "\"max_ms\":%.1f,\"sent_p50_ms\":%.1f,\"sent_p99_ms\":%.1f,"
	    "\"sent_max_ms\":%.1f,",
	    done, driver->sent.count, quantile_ms(&driver->answered, 0.5),
	    quantile_ms(&driver->answered, 0.99),
	    quantile_ms(&driver->answered, 1), quantile_ms(&driver->sent, 0.5),
	    quantile_ms(&driver->sent, 0.99), quantile_ms(&driver->sent, 1));
}

static void
do_expect(struct driver *driver, long version)
{
	int64_t begun = http_clock_us();
	size_t missing;

	aim(&driver->hold, version, true);
	missing = await(driver);
	answer(&driver->hold, missing, "\"ms\":%.1f,",
	    seconds_since(begun) * 1000);
}

static void
do_freeze(struct driver *driver, long count)
{
	struct hold *hold = &driver->hold;

	for (size_t i = 0; i < hold->count && count > 0; i++) {
		if (hold->holdings[i].state != HOLDING_OPEN)
			continue;
		holding_freeze(&hold->holdings[i]);
		count--;
	}
	answer(hold, 0, "%s", "");
}

static void
do_close(struct driver *driver)
{
	struct hold *hold = &driver->hold;

	for (size_t i = 0; i < hold->count; i++)
		holding_close(&hold->holdings[i]);
	hold->in[HOLDING_AWAY] = hold->count = 0;
	answer(hold, 0, "%s", "");
}

/* Does what LINE says. */
static void
obey(struct driver *driver, const char *line)
{
	char command[16] = "";
	long first = 0, second = 0;

	sscanf(line, "%15s %ld %ld", command, &first, &second);
	if (strcmp(command, "open") == 0)
		do_open(driver, first);
	else if (strcmp(command, "push") == 0)
		do_push(driver, first, second);
	else if (strcmp(command, "expect") == 0)
		do_expect(driver, first);
	else if (strcmp(command, "freeze") == 0)
		do_freeze(driver, first);
	else if (strcmp(command, "close") == 0)
		do_close(driver);
	else
		hold_die(line);
}

/* The next line of standard input, while streams are read. NULL at its end. */
static const char *
next_line(struct driver *driver, char *line, size_t size)
{
	static char buffer[512];
	static size_t length;
	char *end;

	while ((end = memchr(buffer, '\n', length)) == NULL) {
		ssize_t n;

		turn(driver, PATIENCE_US);
		n = read(
		    STDIN_FILENO, buffer + length, sizeof(buffer) - length);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return NULL;
		length += n > 0 ? (size_t)n : 0;
	}
	*end = '\0';
	snprintf(line, size, "%s", buffer);
	length -= (size_t)(end + 1 - buffer);
	memmove(buffer, end + 1, length);
	return line;
}

static int
read_options(struct hold *hold, int argc, char **argv)
{
	static const struct option known[] = {{"connect", 1, NULL, 'c'},
	    {"prefix", 1, NULL, 'p'}, {"most", 1, NULL, 'm'},
	    {NULL, 0, NULL, 0}};
	bool connects = false;
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (c) {
		case 'c':
			connects = http_address(&hold->address, optarg) == 0;
			break;
		case 'p':
			hold->prefix = optarg;
			break;
		case 'm':
			hold->most = strtoul(optarg, NULL, 10);
			break;
		default:
			return -1;
		}
	}
	return connects && optind == argc ? 0 : -1;
}

static void
raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int
main(int argc, char **argv)
{
	static struct driver driver;
	struct hold *hold = &driver.hold;
	char line[512];

	hold->prefix = "/replicache";
	hold->most = 10000;
	hold->told = note_told;
	driver.pusher.fd = -1;
	if (read_options(hold, argc, argv) < 0) {
		fputs("usage: hold --connect unix:PATH|HOST:PORT "
		      "[--prefix PATH] [--most STREAMS]\n",
		    stderr);
		return 2;
	}
	raise_limit();
	snprintf(driver.tag, sizeof(driver.tag), "hold-%ld-%lld",
	    (long)getpid(), (long long)http_clock_us());
	hold->holdings = calloc(hold->most, sizeof(*hold->holdings));
	hold->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (hold->holdings == NULL || hold->epoll < 0 ||
	    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK) < 0)
		hold_die("start");
	watch(&driver, STDIN_FILENO);
	while (next_line(&driver, line, sizeof(line)) != NULL)
		obey(&driver, line);
	return 0;
}
