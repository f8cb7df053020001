/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * constant: what a FastCGI program can do at most behind a web server. Reads
 * each request to its end and answers the same, as short as the answer to a
 * pull that brings nothing. The socket is fd 0, as under spawn-fcgi.
 */
#include <fcgiapp.h>

static const char answer[] =
    "Status: 200 OK\r\n"
    "Content-Type: application/json\r\n"
    "Cache-Control: no-store\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Content-Length: 64\r\n"
    "\r\n"
    "{\"cookie\":225179981368525,\"lastMutationIDChanges\":{},\"patch\":[]}";

int
main(void)
{
	FCGX_Request request;
	char body[4096];

	if (FCGX_Init() != 0 || FCGX_InitRequest(&request, 0, 0) != 0)
		return 1;
	while (FCGX_Accept_r(&request) == 0) {
		while (
		    FCGX_GetStr(body, sizeof(body), request.in) == sizeof(body))
			;
		FCGX_PutStr(answer, sizeof(answer) - 1, request.out);
		FCGX_Finish_r(&request);
	}
	return 0;
}
