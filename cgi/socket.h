/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Socket: the one that the program listens on, as it was started with it or
 * makes it.
 */
#ifndef REPLICACHE_SOCKET_H
#define REPLICACHE_SOCKET_H

#include <stdbool.h>

struct error;

/* True if FD is a socket that listens: how FastCGI programs are started
 * (FastCGI specification, section 2.2). */
bool socket_listens(int fd);

/* The socket that the program was started with: standard input, or the first
 * one that systemd passed (sd_listen_fds(3)). -1 if there is none. */
int socket_inherited(void);

/* True if mod_fcgid made the socket FD: `fcgid` is in its path, as in its
 * default folders (FcgidIPCDir). */
bool socket_is_fcgid(int fd);

/*
 * Makes a Unix socket at PATH, mode 0660: whoever can open it is trusted to be
 * the web server. A socket left behind by a dead server is replaced; one
 * that a live server listens on is not, or of which nobody can tell, nor is
 * what is no socket: ERROR_CONFIG, as for whatever else hinders. Gives the
 * descriptor.
 */
int socket_bind(const char *path, struct error *error);

#endif
