/* All that a broker reads from files: once at the start, and anew at each reload. */
#pragma once

#include "keys/broker/administrators.h"
#include "keys/broker/appraise.h"
#include "keys/broker/config.h"
#include "keys/broker/credentials.h"
#include "keys/broker/ear_memory.h"
#include "keys/broker/token_memory.h"

struct broker;

/* What a command line names. */
struct setup_source {
    const char *dev;    /* a folder; NULL */
    const char *config; /* a file; NULL */
    const char *listen; /* instead of the configured address; NULL */
    bool        insecure_http; /* as the key of that name */
    bool        again;  /* it was read before: what --dev makes is there */
};

struct setup {
    struct config          config;
    struct credentials     credentials;
    struct appraiser      *appraiser;
    struct administrators *administrators;
    struct external       *external;
    struct collateral_sources *sources;
    struct token_memory   *memory;
    struct ear_memory     *ears;
};

void setup_free(struct setup *setup);
static inline void auto_setup(struct setup *s) { setup_free(s); }

/* The configuration alone; of `dev` it makes what is not there. */
FALLIBLE setup_config(const struct setup_source *from, struct config *out, struct err *err);

/*
 * Reads the configuration and every file that it names, and checks them.
 *
 *   out    yours, AUTO(setup); written only on success
 */
FALLIBLE setup_read(const struct setup_source *from, struct setup *out, struct err *err);

/* Lets `broker` use what is in `setup`, which must outlive it or the next setup_use. */
void setup_use(const struct setup *setup, struct broker *broker);
