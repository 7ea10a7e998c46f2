/*
 * TCG crypto-agile event logs: of a TPM (PCRs) and of a confidential guest (CCEL: measurement registers).
 * Nothing in a log is signed: digests are as good as their replay, data as good as event_data says. [TCG-PFP 10; tdx.md 3.9]
 */
#pragma once

#include "attestation/evidence/tpm_hash.h"

enum { EVENT_LOG_LEN_MAX = 4 << 20, EVENT_ALGORITHMS_MAX = 8, EVENT_REGISTERS = 24, CCEL_REGISTERS = 5, CC_RTMR3 = 4 };

enum event_type {
    EV_NO_ACTION = 0x3, EV_SEPARATOR = 0x4, EV_ACTION = 0x5, EV_EVENT_TAG = 0x6, EV_S_CRTM_VERSION = 0x8,
    EV_PLATFORM_CONFIG_FLAGS = 0xa, EV_IPL = 0xd, EV_NONHOST_INFO = 0x11,
};
/* TCG's EFI range starts at bit 31, which no portable enumerator can hold. */
#define EV_EFI(n)                    (0x80000000U + (n))
#define EV_EFI_VARIABLE_DRIVER_CONFIG EV_EFI(0x1)
#define EV_EFI_VARIABLE_BOOT          EV_EFI(0x2)
#define EV_EFI_GPT_EVENT              EV_EFI(0x6)
#define EV_EFI_ACTION                 EV_EFI(0x7)
#define EV_EFI_VARIABLE_BOOT2         EV_EFI(0xc)
#define EV_EFI_VARIABLE_AUTHORITY     EV_EFI(0xe0) /* data: often not what was hashed */

enum event_log_kind {
    EVENT_LOG_TPM, /* index is a PCR; the log ends where the file ends */
    EVENT_LOG_CCEL /* index 0 is MRTD, 1 to 4 are RTMR0 to 3; 0xFF or zero bytes fill the area */
};

struct event_log {
    enum event_log_kind    kind;
    struct bytes           events; /* behind the header, without padding */
    const struct tpm_hash *hash[EVENT_ALGORITHMS_MAX]; /* banks, in the header's order */
    size_t                 n_hashes;
    size_t                 n_events;
};

struct event {
    uint32_t     index, type;
    struct bytes digest[EVENT_ALGORITHMS_MAX]; /* by bank as in the log's header; empty where the event has none */
    struct bytes data;
};

/*
 * Reads the header and walks all events once.
 *
 *   whole    must outlive `out`, whose views borrow from it
 *
 * Fails UNSUPPORTED for a log of the old SHA-1 form, LIMIT over EVENT_LOG_LEN_MAX, MALFORMED otherwise.
 */
FALLIBLE event_log_parse(struct bytes whole, enum event_log_kind kind, struct event_log *out, struct err *err);

/* Steps through the events of a parsed log: start with `r` over log->events; false behind the last. */
bool event_next(const struct event_log *log, struct reader *r, struct event *out);

/* Position of a bank in digest[]; n_hashes when the log has none. */
size_t event_log_bank(const struct event_log *log, uint16_t hash_id);

const char *event_type_name(uint32_t type); /* "EV_SEPARATOR"; "EV_UNKNOWN" */

/* The register values that a log explains, in one bank. */
struct event_replay {
    const struct tpm_hash *hash;
    uint8_t                value[EVENT_REGISTERS][TPM_HASH_LEN_MAX];
    bool                   is_extended[EVENT_REGISTERS];
    unsigned               n_separators[EVENT_REGISTERS];
    bool                   has_error_separator; /* firmware reported an error instead of 00000000 */
};

/* Fails NOT_FOUND when the log does not have the bank, MALFORMED when an event lacks a digest in it. */
FALLIBLE event_log_replay(const struct event_log *log, uint16_t hash_id, struct event_replay *out, struct err *err);

/*
 * Whether a register has another number of separators than firmware makes: exactly one good one in each of PCR 0 to
 * 7; at most one in a CCEL register. Events slipped in behind a separator pass for another boot stage's.
 */
bool event_replay_has_extra_separators(const struct event_log *log, const struct event_replay *r);

/* What a matching replay says about an event's data. [tdx.md 3.9; tpm.md 4] */
enum event_data {
    EVENT_DATA_LABEL,     /* nothing: the digest is of something else, and anyone may have edited the text */
    EVENT_DATA_AUTHENTIC, /* the digest is the data's, in whole or in the part that says what was measured */
    EVENT_DATA_FORGED,    /* an event of this type has a digest of its data, and this is not it */
};

enum event_data event_data_judge(const struct event_log *log, const struct event *e, size_t bank);
const char     *event_data_name(enum event_data d); /* "label", "authentic", "forged" */
