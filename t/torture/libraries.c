/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The program's calls to libpq and libfcgi, each failing as the function itself
 * may: alone, or because the connection really is lost. What can't fail, as a
 * look at a result that is there, is not among them.
 */
#include "config.h"

#include <errno.h>
#include <fcgiapp.h>
#include <libpq-fe.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "torture.h"
#include "wrap.h"

#define FAILS_PQ(name)                                                         \
	torture_fails(TORTURE_PQ, #name, __builtin_return_address(0))
#define FAILS_FCGX(name)                                                       \
	torture_fails(TORTURE_FCGX, #name, __builtin_return_address(0))

/* Of the two ways most calls fail, the one in which the link is cut under them,
 * and they go on to find out. */
static bool
cuts(PGconn *conn)
{
	if (torture_variant(2) == 0)
		return false;
	shutdown(PQsocket(conn), SHUT_RDWR);
	return true;
}

#define CALL_PQ(name, conn, failure, ...)                                      \
	return FAILS_PQ(name) && !cuts(conn) ? (failure)                       \
					     : REAL(name)(conn, ##__VA_ARGS__)

WRAPPED(PGconn *, PQconnectStartParams, const char *const *keywords,
    const char *const *values, int expand)
{
	static const char *const bad_keywords[] = {"port", NULL};
	static const char *const bad_values[] = {"none", NULL};

	if (!FAILS_PQ(PQconnectStartParams))
		return REAL(PQconnectStartParams)(keywords, values, expand);
	return torture_variant(2) == 0
		   ? NULL
		   : REAL(PQconnectStartParams)(bad_keywords, bad_values, 0);
}

WRAPPED(PostgresPollingStatusType, PQconnectPoll, PGconn *conn)
{
	CALL_PQ(PQconnectPoll, conn, PGRES_POLLING_FAILED);
}

WRAPPED(ConnStatusType, PQstatus, const PGconn *conn)
{
	return FAILS_PQ(PQstatus) ? CONNECTION_BAD : REAL(PQstatus)(conn);
}

WRAPPED(PGTransactionStatusType, PQtransactionStatus, const PGconn *conn)
{
	return FAILS_PQ(PQtransactionStatus) ? PQTRANS_UNKNOWN
					     : REAL(PQtransactionStatus)(conn);
}

WRAPPED(char *, PQerrorMessage, const PGconn *conn)
{
	static char no_memory[] = "out of memory\n";

	return FAILS_PQ(PQerrorMessage) ? no_memory
					: REAL(PQerrorMessage)(conn);
}

WRAPPED(int, PQsetnonblocking, PGconn *conn, int on)
{
	CALL_PQ(PQsetnonblocking, conn, -1, on);
}

WRAPPED(int, PQenterPipelineMode, PGconn *conn)
{
	CALL_PQ(PQenterPipelineMode, conn, 0);
}

WRAPPED(int, PQexitPipelineMode, PGconn *conn)
{
	CALL_PQ(PQexitPipelineMode, conn, 0);
}

WRAPPED(int, PQsendPrepare, PGconn *conn, const char *name, const char *sql,
    int n, const Oid *types)
{
	CALL_PQ(PQsendPrepare, conn, 0, name, sql, n, types);
}

WRAPPED(int, PQsendQuery, PGconn *conn, const char *sql)
{
	CALL_PQ(PQsendQuery, conn, 0, sql);
}

WRAPPED(int, PQsendQueryParams, PGconn *conn, const char *sql, int n,
    const Oid *types, const char *const *values, const int *lengths,
    const int *formats, int format)
{
	CALL_PQ(PQsendQueryParams, conn, 0, sql, n, types, values, lengths,
	    formats, format);
}

/* COMMIT succeeds even where it comes to a transaction that has failed: then it
 * is a ROLLBACK, and says so. The third of four ways. */
static bool
rolls_back(const char *name)
{
	return torture_variant(4) == 2 && strcmp(name, "commit") == 0;
}

WRAPPED(int, PQsendQueryPrepared, PGconn *conn, const char *name, int n,
    const char *const *values, const int *lengths, const int *formats,
    int format)
{
	if (!FAILS_PQ(PQsendQueryPrepared) || (!rolls_back(name) && cuts(conn)))
		return REAL(PQsendQueryPrepared)(
		    conn, name, n, values, lengths, formats, format);
	if (!rolls_back(name))
		return 0;
	return REAL(PQsendQueryParams)(
	    conn, "rollback", 0, NULL, NULL, NULL, NULL, 0);
}

WRAPPED(int, PQpipelineSync, PGconn *conn)
{
	CALL_PQ(PQpipelineSync, conn, 0);
}

WRAPPED(int, PQflush, PGconn *conn)
{
	CALL_PQ(PQflush, conn, -1);
}

WRAPPED(int, PQconsumeInput, PGconn *conn)
{
	CALL_PQ(PQconsumeInput, conn, 0);
}

WRAPPED(int, PQsetSingleRowMode, PGconn *conn)
{
	CALL_PQ(PQsetSingleRowMode, conn, 0);
}

/* Without memory libpq drops what it has read, and gives a failure, or has no
 * memory even for that. */
WRAPPED(PGresult *, PQgetResult, PGconn *conn)
{
	PGresult *result;

	if (!FAILS_PQ(PQgetResult) || cuts(conn))
		return REAL(PQgetResult)(conn);
	result = REAL(PQgetResult)(conn);
	if (result == NULL)
		return NULL;
	PQclear(result);
	return torture_variant(4) == 0
		   ? NULL
		   : PQmakeEmptyPGresult(conn, PGRES_FATAL_ERROR);
}

/* Without memory libpq forgets a notification. */
WRAPPED(PGnotify *, PQnotifies, PGconn *conn)
{
	if (FAILS_PQ(PQnotifies) && !cuts(conn)) {
		PQfreemem(REAL(PQnotifies)(conn));
		return NULL;
	}
	return REAL(PQnotifies)(conn);
}

WRAPPED(PGcancel *, PQgetCancel, PGconn *conn)
{
	return FAILS_PQ(PQgetCancel) ? NULL : REAL(PQgetCancel)(conn);
}

WRAPPED(int, PQcancel, PGcancel *cancel, char *text, int size)
{
	if (!FAILS_PQ(PQcancel))
		return REAL(PQcancel)(cancel, text, size);
	text[0] = '\0';
	return 0;
}

WRAPPED(PQconninfoOption *, PQconninfoParse, const char *text, char **complaint)
{
	if (!FAILS_PQ(PQconninfoParse))
		return REAL(PQconninfoParse)(text, complaint);
	*complaint = NULL;
	return NULL;
}

WRAPPED(char *, PQresultErrorField, const PGresult *result, int field)
{
	return FAILS_PQ(PQresultErrorField)
		   ? NULL
		   : REAL(PQresultErrorField)(result, field);
}

/* libfcgi: a stream that has failed says so from then on. */

static void
spoil(FCGX_Stream *stream)
{
	if (stream->FCGI_errno == 0)
		stream->FCGI_errno = EIO;
	stream->isClosed = 1;
}

WRAPPED(int, FCGX_Init, void)
{
	return FAILS_FCGX(FCGX_Init) ? -1 : REAL(FCGX_Init)();
}

WRAPPED(int, FCGX_InitRequest, FCGX_Request *request, int fd, int flags)
{
	return FAILS_FCGX(FCGX_InitRequest)
		   ? -1
		   : REAL(FCGX_InitRequest)(request, fd, flags);
}

/* It closes the connection that it can't read a request from. */
WRAPPED(int, FCGX_Accept_r, FCGX_Request *request)
{
	if (!FAILS_FCGX(FCGX_Accept_r))
		return REAL(FCGX_Accept_r)(request);
	if (torture_variant(2) == 1) {
		shutdown(request->ipcFd, SHUT_RDWR);
		return REAL(FCGX_Accept_r)(request);
	}
	close(request->ipcFd);
	request->ipcFd = -1;
	return -EBADF;
}

WRAPPED(int, FCGX_GetStr, char *to, int size, FCGX_Stream *stream)
{
	if (!FAILS_FCGX(FCGX_GetStr))
		return REAL(FCGX_GetStr)(to, size, stream);
	spoil(stream);
	return 0;
}

WRAPPED(int, FCGX_PutStr, const char *from, int size, FCGX_Stream *stream)
{
	if (!FAILS_FCGX(FCGX_PutStr))
		return REAL(FCGX_PutStr)(from, size, stream);
	spoil(stream);
	return -1;
}

WRAPPED(int, FCGX_FClose, FCGX_Stream *stream)
{
	if (!FAILS_FCGX(FCGX_FClose))
		return REAL(FCGX_FClose)(stream);
	spoil(stream);
	return -1;
}

WRAPPED(int, FCGX_GetError, FCGX_Stream *stream)
{
	if (FAILS_FCGX(FCGX_GetError))
		spoil(stream);
	return REAL(FCGX_GetError)(stream);
}

WRAPPED(int, FCGX_HasSeenEOF, FCGX_Stream *stream)
{
	return FAILS_FCGX(FCGX_HasSeenEOF) ? 0 : REAL(FCGX_HasSeenEOF)(stream);
}
