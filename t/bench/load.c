/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * load: many Replicache clients in one thread. Each connection is one client of
 * a group of its own, which sends its next request when the last one is
 * answered. Prints what it measured as one line of JSON.
 *
 *	load --connect unix:PATH --mode push --connections 32 --seconds 5
 *
 * --help tells the options. Every answer is checked; one that is wrong counts
 * as an error, and a push that failed is sent again, as a client would.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

void
load_die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* The result. */

static int
compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Of a sorted list. */
static double
quantile_ms(const struct load *load, const uint32_t *sorted, double q)
{
	if (load->done == 0)
		return 0;
	return sorted[(size_t)(q * (double)(load->done - 1))] / 1000.0;
}

static void
print_quoted(const char *text)
{
	putchar('"');
	for (; *text != '\0'; text++)
		putchar(*text == '"' || *text == '\\' || *text < ' ' ? '\''
								     : *text);
	putchar('"');
}

static void
report(struct load *load)
{
	double seconds = (double)load->elapsed_us / 1e6;

	if (load->done > 0) {
		qsort(load->latency, load->done, sizeof(uint32_t), compare);
		qsort(load->first, load->done, sizeof(uint32_t), compare);
	}
	printf("{\"mode\":\"%s\",\"connections\":%d,\"mutations\":%d,"
	       "\"seconds\":%.3f,\"requests\":%zu,\"per_second\":%.1f,"
	       "\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,"
	       "\"first_byte_ms\":%.3f,\"bytes\":%zu,\"rows\":%zu,"
	       "\"errors\":%ld,\"first_error\":",
	    load->options.mode, load->options.connections,
	    load->options.mutations, seconds, load->done,
	    seconds > 0 ? (double)load->done / seconds : 0,
	    quantile_ms(load, load->latency, 0.5),
	    quantile_ms(load, load->latency, 0.99),
	    quantile_ms(load, load->latency, 1),
	    quantile_ms(load, load->first, 0.5), load->bytes, load->rows,
	    load->errors);
	print_quoted(load->first_error);
	puts("}");
}

/* What the database must know of the clients, for whoever can look. */
static void
write_expected(const struct load *load)
{
	const struct options *o = &load->options;
	FILE *file = fopen(o->expect, "w");

	if (file == NULL)
		load_die(o->expect);
	for (int i = 0; i <= o->connections; i++)
		if (load->clients[i].confirmed > 0)
			fprintf(file, "%s-c%08d %ld\n", o->tag, i,
			    load->clients[i].confirmed);
	if (fclose(file) != 0)
		load_die(o->expect);
}

/* The start. */

static void
usage(FILE *out)
{
	fputs("usage: load --connect unix:PATH|HOST:PORT --mode MODE\n"
	      "  --fastcgi           at the program's socket, without a web server\n"
	      "  --prefix PATH       before /push and /pull (/replicache)\n"
	      "  --connections N     clients (1)\n"
	      "  --mutations N       in each push (1)\n"
	      "  --content BYTES     of each message (60)\n"
	      "  --failing N         of the clients push what must fail (0)\n"
	      "  --seconds S         to measure (5)\n"
	      "  --warmup S          before that (1)\n"
	      "  --count N           first pulls to measure (5)\n"
	      "  --cookie COOKIE     of the first pulls (null)\n"
	      "  --token TOKEN       the Authorization of all (empty)\n"
	      "  --tag TEXT          begins every ID: new ones, new clients\n"
	      "  --expect FILE       gets the last mutation ID of each client\n"
	      "modes:\n",
	    out);
	for (const struct traffic *t = traffic; t->name != NULL; t++)
		fprintf(out, "  %-19s %s\n", t->name, t->help);
}

static int
read_options(struct options *o, int argc, char **argv)
{
	static const struct option known[] = {{"connect", 1, NULL, 'a'},
	    {"mode", 1, NULL, 'm'}, {"prefix", 1, NULL, 'p'},
	    {"connections", 1, NULL, 'c'}, {"mutations", 1, NULL, 'k'},
	    {"content", 1, NULL, 'b'}, {"seconds", 1, NULL, 's'},
	    {"warmup", 1, NULL, 'w'}, {"count", 1, NULL, 'n'},
	    {"failing", 1, NULL, 'f'}, {"cookie", 1, NULL, 'o'},
	    {"fastcgi", 0, NULL, 'g'}, {"tag", 1, NULL, 't'},
	    {"token", 1, NULL, 'u'}, {"expect", 1, NULL, 'e'},
	    {"help", 0, NULL, 'h'}, {NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (c) {
		case 'a':
			if (http_address(&o->address, optarg) < 0)
				return -1;
			break;
		case 'm':
			o->mode = optarg;
			break;
		case 'p':
			o->prefix = optarg;
			break;
		case 'c':
			o->connections = atoi(optarg);
			break;
		case 'k':
			o->mutations = atoi(optarg);
			break;
		case 'b':
			o->content = atoi(optarg);
			break;
		case 's':
			o->seconds = atof(optarg);
			break;
		case 'w':
			o->warmup = atof(optarg);
			break;
		case 'n':
			o->count = atol(optarg);
			break;
		case 'f':
			o->failing = atoi(optarg);
			break;
		case 'g':
			o->fastcgi = true;
			o->prefix = "";
			break;
		case 'o':
			o->cookie = optarg;
			break;
		case 't':
			o->tag = optarg;
			break;
		case 'u':
			o->token = optarg;
			break;
		case 'e':
			o->expect = optarg;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			return -1;
		}
	}
	return o->mode != NULL && o->address.length > 0 && o->connections > 0 &&
		       o->mutations > 0 && o->content > 0 &&
		       strlen(o->tag) <= 16 &&
		       strlen(o->token) < LOAD_TOKEN_MAX && strlen(o->prefix) < 100
		   ? 0
		   : -1;
}

int
main(int argc, char **argv)
{
	struct load load = {.options = {.prefix = "/replicache",
				.tag = "bench",
				.cookie = "null",
				.token = "",
				.connections = 1,
				.mutations = 1,
				.content = 60,
				.seconds = 5,
				.warmup = 1,
				.count = 5}};

	if (read_options(&load.options, argc, argv) < 0) {
		usage(stderr);
		return 2;
	}
	for (const struct traffic *t = traffic; t->name != NULL; t++) {
		if (strcmp(t->name, load.options.mode) != 0)
			continue;
		traffic_prepare(&load);
		clients_start(&load);
		t->run(&load);
		report(&load);
		if (load.options.expect != NULL)
			write_expected(&load);
		return 0;
	}
	usage(stderr);
	return 2;
}
