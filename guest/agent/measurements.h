/*
 * What was measured since the guest attested first: an event log in CoCo's format, and the register that vouches for it:
 * RTMR3, PCR 15, or one of software, where the platform has none. [attestation/evidence/aael.h]
 *
 * A register of software is worth what the keeper's word is worth: evidence over it says that this guest, as it was
 * measured at launch, vouches for the log. Nobody can take events out of a log whose register evidence has shown.
 */
#pragma once

#include <pthread.h>

#include "attestation/attester/attester.h"
#include "attestation/evidence/aael.h"

#define AAEL_DOMAIN_COCO     "github.com/confidential-containers" /* "PullImage", as CoCo's guests log it */
#define AAEL_DOMAIN_CLOISTER "cloister"                           /* "StartContainer" */

enum {
    MEASUREMENTS_MAX          = 2048,      /* events in the life of a guest; */
    MEASUREMENTS_OF_WORKLOADS = 1024,      /* of them, those that containers add: the guest's own always have room */
    MEASUREMENTS_LOG_MAX      = 512 << 10, /* bytes of the log: twice base64, it fits into an attestation; */
    MEASUREMENTS_LOG_OF_WORKLOADS = 256 << 10, /* of them, those that containers may fill */
};

struct measurements {
    struct attester *attester; /* borrowed */
    pthread_mutex_t  lock;     /* of all: evidence shows log and register as one; zeros are PTHREAD_MUTEX_INITIALIZER */
    struct buffer    log;
    uint8_t          value[TPM_HASH_LEN_MAX]; /* of the register, if nothing but these events extended it */
    unsigned         n, n_of_workloads;
};

void measurements_lock(struct measurements *m);
void measurements_unlock(struct measurements *m);
void measurements_free(struct measurements *m);

/* The register: its name ("software"), index and algorithm. */
struct runtime_register measurements_register(const struct measurements *m);

/*
 * Extends the register, then logs. Fails MALFORMED, LIMIT; DENIED for a workload that names a domain of the guest's own;
 * as the attester does.
 */
FALLIBLE measurements_add(struct measurements *m, const struct aael_event *event, bool is_of_workload, struct err *err);

/* The content of CoCo's event for an image that was pulled. `name` is escaped where JSON wants that. */
void measurements_image_text(const char *name, const char *digest, struct buffer *out);
