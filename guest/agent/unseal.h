/*
 * Sealed secrets among what a container gets, opened before it is made: environment entries "NAME=sealed...." and files
 * that begin so. Policy says whose signature counts; the keeper asks the broker. [keys/api/sealed_secret.h]
 */
#pragma once

#include "guest/agent/service.h"
#include "keys/api/sealed_secret.h"

enum { UNSEAL_MAX = 160 }; /* of one container: all its files, and some */

/* `why` is NULL when all are open; else it names the phase. Told once. */
typedef void unseal_done_fn(void *owner, const struct err *why);

struct unseal_slot {
    const char  **entry;   /* of an environment; NULL: a file's content */
    struct bytes *content;
};

/* One container's; the zero state holds nothing. Who owns it keeps it in place until it is told, then calls unsealing_free. */
struct unsealing {
    struct service         *service;
    const struct container *container;
    struct volumes         *volumes;
    unseal_done_fn         *done;
    void                   *owner;
    uint64_t                begin_ms;
    struct unseal_slot      slots[UNSEAL_MAX];
    struct buffer           opened[UNSEAL_MAX];
    size_t                  n, at; /* slots, and the one whose turn it is */
    bool                    is_over;
    char                    signer[SEALED_URI_MAX + 1]; /* of that one, as policy let it pass */
};

/*
 * Finds what is sealed; env entries and contents will be exchanged for what was opened, which `u` holds.
 *
 *   u        service, container, volumes (may be NULL), done and owner filled in
 *
 * Fails LIMIT.
 */
FALLIBLE unseal_find_env(struct unsealing *u, const char **env, size_t n, struct err *err);
FALLIBLE unseal_find_files(struct unsealing *u, struct err *err);

/* Opens them, one after the other; with none it tells at once, before it returns. */
void unseal_begin(struct unsealing *u);

void unsealing_free(struct unsealing *u); /* wipes */
