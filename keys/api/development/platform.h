/*
 * The development platform: what AMD's factory and key service would have made for a chip, made on this machine
 * instead: ARK (self-signed), ASK (RSA-4096, RSASSA-PSS), and a P-384 VCEK with AMD's extensions. The simulated
 * platform signs with it; a broker trusts its ARK only when told to. It proves nothing about any hardware.
 * [SNP-VCEK 3, 4]
 */
#pragma once

#include "base/ossl.h"

enum {
    DEVELOPMENT_SPL_BOOT_LOADER = 10,
    DEVELOPMENT_SPL_TEE         = 0,
    DEVELOPMENT_SPL_SNP         = 23,
    DEVELOPMENT_SPL_MICROCODE   = 88,
    DEVELOPMENT_CPU_FAMILY      = 0x19, /* of the product "Genoa" */
    DEVELOPMENT_CPU_MODEL       = 0x11,
    DEVELOPMENT_CPU_STEPPING    = 1,
    DEVELOPMENT_CHIP_ID_LEN     = 64
};

/* The zero state is empty; release with AUTO(development_platform). */
struct development_platform {
    struct buffer ark, ask, vcek;                    /* DER certificates */
    EVP_PKEY     *vcek_key;
    uint8_t       chip_id[DEVELOPMENT_CHIP_ID_LEN];  /* SHA-512 of the VCEK's SubjectPublicKeyInfo */
};

void               development_platform_free(struct development_platform *platform);
static inline void auto_development_platform(struct development_platform *p) { development_platform_free(p); }

/*
 * Where this user's development platform is: $CLOISTER_DEVELOPMENT_PLATFORM, else cloister/development-platform in
 * $XDG_DATA_HOME or $HOME/.local/share, else /var/lib/cloister/development-platform. `out` is yours, AUTO(text).
 */
void development_platform_directory(char **out);

/* Makes a platform in `directory` unless there is one: ark.der, ask.der, vcek.der, vcek.key (0600). Takes seconds. */
FALLIBLE development_platform_make(const char *directory, struct err *err);

/* Fails NOT_FOUND when there is none, MALFORMED when its key does not fit its certificate. */
FALLIBLE development_platform_open(const char *directory, struct development_platform *out, struct err *err);
