/*
 * The log of a daemon: one line per event on standard error, `level event key=value ...`. Only edges log:
 * main() and request handlers; libraries return an err. Peer bytes go through LOG_PEER, which escapes and cuts.
 */
#pragma once

#include "base/auto.h"
#include "base/bytes.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_open(const char *program, enum log_level most);
/* From now on each line is a JSON object: time, level, program, event, and one member for each key. */
void log_as_json(void);

/* One line of the form above, from the pairs as log_info has them, into `out`. Pure; for log_as_json. */
void log_json_line(struct buffer *out, int64_t at, const char *program, const char *level, const char *event,
                   const char *pairs);

/* log_info("key released", "resource=%s", path): `event` is fixed text, the rest "key=value" pairs. */
void log_error(const char *event, const char *fmt, ...) PRINTF_LIKE(2); /* an operator must act */
void log_info(const char *event, const char *fmt, ...) PRINTF_LIKE(2);  /* the story of a request */
void log_debug(const char *event, const char *fmt, ...) PRINTF_LIKE(2); /* off by default; never payload */

enum { LOG_PEER_MAX = 120 };
struct log_peer { char text[LOG_PEER_MAX * 4 + 4]; };
struct log_peer log_peer(struct bytes from_peer);
#define LOG_PEER(b) (log_peer(b).text)
