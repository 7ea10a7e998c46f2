/*
 * Secrets on their way to guests, encrypted on threads of their own: the key agreement of one costs more than the rest of
 * its release, and the loop has others to decide on and a disk to wait for. Whoever waits for them helps first.
 */
#pragma once

#include "base/auto.h"
#include "keys/jose/jwe.h"

/* One secret for one guest. */
struct sealing {
    struct jwk      to;        /* its key is shared with whoever asked */
    struct secret   value;     /* wiped as soon as it is sealed */
    bool            is_sealed; /* … and these are what came of it */
    struct buffer   sealed;
    struct err      err;       /* why not */
    struct sealing *next;
};

struct sealing *sealing_new(const struct jwk *to, struct secret *value_take);
void            sealing_free(struct sealing *sealing);
DEFINE_AUTO(sealing, struct sealing *, sealing_free)

struct sealers;

/* At most so many threads, which are made when there is something to do; 0: whoever waits does it all. */
struct sealers *sealers_new(size_t threads_max);
void            sealers_free(struct sealers *sealers); /* nothing is asked of it any more */
DEFINE_AUTO(sealers, struct sealers *, sealers_free)

/* As many threads as there are processors beside the caller's own. */
size_t sealers_threads(void);

/* The job stays the caller's, who leaves it alone until sealers_finish returns. */
void sealers_ask(struct sealers *sealers, struct sealing *job);
/* Seals what no thread has taken yet, then waits for those: returns when all that was asked is done. */
void sealers_finish(struct sealers *sealers);
