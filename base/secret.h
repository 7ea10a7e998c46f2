/*
 * Key material. Its own type, so that it cannot be logged, compared with memcmp, printed as hex or put
 * into JSON by accident. Lives in OpenSSL's secure heap: guarded, locked in RAM, wiped on release. What a secret has
 * to pass through on its way, a message or a header, is a buffer that is wiped, or memory of wiped_free. [base/bytes.h]
 */
#pragma once

#include "base/bytes.h"

struct secret {
    uint8_t *held; /* use secret_expose */
    size_t   len;
};

enum { SECRET_HEAP_LEN = 4 << 20, SECRET_LEN_MAX = 1 << 20 };

/* Call once in main(), before the first secret. Also forbids core dumps and ptrace of this process. */
FALLIBLE secret_heap_open(struct err *err);

FALLIBLE secret_new(size_t len, struct secret *out, struct err *err); /* zeroed; LIMIT when locked memory is full */
FALLIBLE secret_copy(struct bytes from, struct secret *out, struct err *err); /* the caller wipes `from` */
FALLIBLE secret_random(size_t len, struct secret *out, struct err *err);
bool     secret_equal(const struct secret *a, const struct secret *b); /* constant time for equal lengths */
void     secret_free(struct secret *s);

/* The door out: a view for one library call, valid while the secret lives. Grep for it in reviews. */
struct bytes secret_expose(const struct secret *s);

static inline void auto_secret(struct secret *s) { secret_free(s); }
