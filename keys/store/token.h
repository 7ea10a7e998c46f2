/* A session with one PKCS#11 token, named by a URI. [RFC 7512] */
#pragma once

#include <p11-kit/p11-kit.h>
#include <p11-kit/uri.h>

#include "base/auto.h"
#include "base/err.h"

struct token {
    P11KitUri        *uri;
    CK_FUNCTION_LIST *module;
    bool              is_initialized;
    CK_SESSION_HANDLE session; /* 0: none */
};

/*
 * Loads the module that the URI names, finds the one token that fits, and logs in with the PIN of its pin-source.
 *
 *   flags           CKF_RW_SESSION or 0
 *   wants_object    the URI must name one by object=
 *
 * Fails CONFIG, NOT_FOUND for a token that is not there, OS for what else PKCS#11 says; `t` is yours either way.
 */
FALLIBLE token_open(const char *uri, CK_FLAGS flags, bool wants_object, struct token *t, struct err *err);
void     token_close(struct token *t);
static inline void auto_token(struct token *t) { token_close(t); }

FALLIBLE token_rv_check(CK_RV rv, const char *what, struct err *err);
