/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Points at which a test ends the program by SIGKILL, or stops it, for what is
 * left undone then: nothing may be lost, repeated or half done. Only
 * `./configure --enable-faults`, and t/faulty/replicache.fcgi, which is made
 * for the tests alone, have them; any other build has nothing of this.
 *
 *	REPLICACHE_FAULT=commit-sent	at the first passing
 *	REPLICACHE_FAULT=commit-sent:3	at the third one
 *	REPLICACHE_FAULT=commit-sent:3:stop	SIGSTOP: whoever watches acts
 *		meanwhile, and sends SIGCONT
 *
 * It is no setting: the manual and --help do not know it.
 */
#ifndef FAULTS_H
#define FAULTS_H

#ifdef FAULTS

/* All points, in the order in which a request passes them. Rig::Faults reads
 * the names here. */
#define FAULTS_LIST(POINT)                                                     \
	/* Start and end of the program. */                                    \
	POINT(SERVING, "serving")                                              \
	POINT(RELOADING, "reloading")                                          \
	POINT(DRAINING, "draining")                                            \
	POINT(DRAINED, "drained")                                              \
	/* Any request. */                                                     \
	POINT(ACCEPTED, "accepted")                                            \
	POINT(REQUEST_READ, "request-read")                                    \
	POINT(CONNECTED, "connected")                                          \
	POINT(REGISTRY_READ, "registry-read")                                  \
	POINT(ANSWER_UNSENT, "answer-unsent")                                  \
	POINT(ANSWER_SENT, "answer-sent")                                      \
	/* A push. */                                                          \
	POINT(PUSH_LOOKS, "push-looks")                                        \
	POINT(PUSH_LOOKED, "push-looked")                                      \
	POINT(BATCH_TAKEN, "batch-taken")                                      \
	POINT(BATCH_PLANNED, "batch-planned")                                  \
	POINT(BEGIN_SENT, "begin-sent")                                        \
	POINT(CALL_SENT, "call-sent")                                          \
	POINT(COMMIT_UNSENT, "commit-unsent")                                  \
	POINT(COMMIT_SENT, "commit-sent")                                      \
	POINT(PIPELINE_SENT, "pipeline-sent")                                  \
	POINT(BEGIN_TAKEN, "begin-taken")                                      \
	POINT(CALL_TAKEN, "call-taken")                                        \
	POINT(COMMIT_UNREAD, "commit-unread")                                  \
	POINT(COMMIT_TAKEN, "commit-taken")                                    \
	POINT(PUSH_SETTLED, "push-settled")                                    \
	POINT(SESSION_RESET, "session-reset")                                  \
	POINT(ROLLED_BACK, "rolled-back")                                      \
	POINT(PUSH_GUARDED, "push-guarded")                                    \
	POINT(PUSH_APART, "push-apart")                                        \
	POINT(PUSH_RETRIED, "push-retried")                                    \
	POINT(PUSH_LOOKS_AGAIN, "push-looks-again")                            \
	POINT(PUSH_DONE, "push-done")                                          \
	/* A pull. */                                                          \
	POINT(PULL_LOOKS, "pull-looks")                                        \
	POINT(PULL_LOOKED, "pull-looked")                                      \
	POINT(PULL_SHARED, "pull-shared")                                      \
	POINT(SNAPSHOT_SENT, "snapshot-sent")                                  \
	POINT(SNAPSHOT_OPEN, "snapshot-open")                                  \
	POINT(ROW_WRITTEN, "row-written")                                      \
	POINT(PIECE_SENT, "piece-sent")                                        \
	POINT(ROWS_WRITTEN, "rows-written")                                    \
	POINT(SHARE_KEPT, "share-kept")                                        \
	POINT(PULL_BRACE, "pull-brace")                                        \
	/* A poke. */                                                          \
	POINT(STREAM_TAKEN, "stream-taken")                                    \
	POINT(STREAM_ADDED, "stream-added")                                    \
	POINT(LISTENING, "listening")                                          \
	POINT(NOTIFIED, "notified")                                            \
	POINT(VERSION_TOLD, "version-told")                                    \
	POINT(POKED, "poked")

#define FAULTS_ENUM(name, text) FAULTS_##name,
enum faults_point {
	FAULTS_LIST(FAULTS_ENUM)
	/* How many there are. */
	FAULTS_MAX
};
#undef FAULTS_ENUM

/* Reads REPLICACHE_FAULT. What it can't read ends the program: a test must not
 * believe that something was tried. Called once, before there are threads. */
void faults_arm(void);

/* POINT is passed. Comes back unless its time has come. Any thread. */
void faults_pass(enum faults_point point);

#define FAULTS_ARM() faults_arm()
#define FAULT(name) faults_pass(FAULTS_##name)

#else

#define FAULTS_ARM() ((void)0)
#define FAULT(name) ((void)0)

#endif

#endif
