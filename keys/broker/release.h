/*
 * The first policy: a resource goes only to a guest whose measurement is registered and whose initdata is expected,
 * both for that very path or for all. Deny by default; a store that cannot answer denies.
 */
#pragma once

#include "keys/store/store.h"

#define RELEASE_BUILTIN "builtin-1" /* as the audit log names it */

/* What was proven about the guest that asks. */
struct release_subject {
    const char  *tee;
    struct bytes measurement; /* as evidence has it: 48 bytes for SNP */
    struct bytes initdata;    /* the field that holds its digest: HOST_DATA, 32 bytes */
};

/*
 * Decides at `now`. Returns true: release.
 *
 *   path    "REPOSITORY/TYPE/TAG"; NULL asks whether the guest may have anything at all
 *
 * Fails DENIED with a line for the guest's user; OS when the store cannot tell.
 */
FALLIBLE release_decide(struct store *store, const struct release_subject *subject, const char *path, int64_t now,
                        struct err *err);
