/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * constant: what a FastCGI program can do at most behind a web server. Reads
 * each request to its end and answers the same, as short as the answer to a
 * pull that brings nothing. The socket is fd 0, as under spawn-fcgi.
 */
#include "config.h"

#include <fcgiapp.h>
#include <pthread.h>
#include <stddef.h>

/* More did not serve more. */
#define THREADS 4

static const char answer[] =
    "Status: 200 OK\r\n"
    "Content-Type: application/json\r\n"
    "Cache-Control: no-store\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Content-Length: 64\r\n"
    "\r\n"
    "{\"cookie\":225179981368525,\"lastMutationIDChanges\":{},\"patch\":[]}";

static void *
serve(void *unused)
{
	FCGX_Request request;
	char body[4096];

	(void)unused;
	if (FCGX_InitRequest(&request, 0, 0) != 0)
		return NULL;
	while (FCGX_Accept_r(&request) == 0) {
		while (
		    FCGX_GetStr(body, sizeof(body), request.in) == sizeof(body))
			;
		FCGX_PutStr(answer, sizeof(answer) - 1, request.out);
		FCGX_Finish_r(&request);
	}
	return NULL;
}

int
main(void)
{
	pthread_t thread;

	if (FCGX_Init() != 0)
		return 1;
	for (int i = 1; i < THREADS; i++)
		if (pthread_create(&thread, NULL, serve, NULL) != 0)
			return 1;
	serve(NULL);
	return 1;
}
