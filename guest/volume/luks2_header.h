/*
 * The header of a LUKS2 disk, reduced to what we open: one segment of AES-256-XTS with HMAC-SHA-256 over dm-integrity,
 * keyslots of PBKDF2. The header is not signed by anyone: the host may have written it. So it decides nothing but where
 * key material and data lie and how often a hash is repeated; ciphers are fixed here, and what differs is refused.
 * [LUKS2 On-Disk Format Specification 1.1]
 */
#pragma once

#include "base/json.h"

enum {
    LUKS2_BINARY_LEN     = 4096,      /* of one binary header */
    LUKS2_HEADER_MAX     = 64 << 10,  /* bytes of one copy: binary header and JSON area */
    LUKS2_KEYSLOTS_MAX   = 8,         /* looked at; a disk may have more */
    LUKS2_SALT_MAX       = 64,
    LUKS2_CIPHER_KEY_LEN = 64,        /* AES-256-XTS takes two */
    LUKS2_MAC_KEY_LEN    = 32,
    LUKS2_KEY_LEN        = LUKS2_CIPHER_KEY_LEN + LUKS2_MAC_KEY_LEN,
    LUKS2_STRIPES        = 4000,
    LUKS2_ITERATIONS_MIN = 1000,
    LUKS2_ITERATIONS_MAX = 1 << 24    /* the host chooses: it may cost us time, within bounds */
};

struct luks2_kdf {
    char     hash[8]; /* "sha256" or "sha512" */
    uint32_t iterations;
    uint8_t  salt[LUKS2_SALT_MAX];
    size_t   salt_len;
};

struct luks2_keyslot {
    char             name[4];      /* "0" */
    struct luks2_kdf kdf;
    char             af_hash[8];
    uint64_t         area_offset, area_len; /* bytes from the start of the disk */
    size_t           area_key_len; /* 32 or 64: AES-XTS */
};

struct luks2_header {
    char                 uuid[40];
    uint64_t             sequence;
    uint64_t             copy_len;      /* of one copy; the other begins there */
    struct luks2_keyslot keyslots[LUKS2_KEYSLOTS_MAX]; /* those of PBKDF2 whose key opens the segment */
    size_t               n_keyslots, n_unusable;
    struct luks2_kdf     digest;        /* over the volume key */
    uint8_t              digest_value[32];
    uint64_t             segment_offset; /* bytes; it reaches to the end of the disk */
    unsigned             sector_len;     /* 512 or 4096 */
};

/*
 * Reads both copies and takes the newer of those that are whole.
 *
 *   start     the first bytes of the disk, 2 * LUKS2_HEADER_MAX of them, or all of a smaller disk
 *   disk_len  of the whole disk: everything that the header names lies within
 *
 * Fails MALFORMED when neither copy is whole, UNSUPPORTED for what is well formed and not the above, LIMIT.
 */
FALLIBLE luks2_header_read(struct bytes start, uint64_t disk_len, struct luks2_header *out, struct err *err);

/* Appends one copy: checksum included, `header->copy_len` bytes. `salt` is 64 random bytes of this copy alone. */
FALLIBLE luks2_header_write(const struct luks2_header *header, bool is_second, const uint8_t salt[static 64], struct buffer *out,
                            struct err *err);
