/*
 * The development root: an ARK, ASK and VCEK in AMD's form, made at install, under which the simulated platform
 * signs its reports. It protects nothing; a broker trusts it only when its configuration names it.
 * [snp.md 2.1, 2.2]
 */
#pragma once

#include "base/ossl.h"

/*
 * Below a broker's folder: dev-tee/ark.der, ask.der, vcek.der and vcek.key (PEM, PKCS#8). The keys of the ARK and
 * the ASK are forgotten once they have signed.
 */
#define DEVELOPMENT_FOLDER "dev-tee"

/* What the VCEK certifies, and so what a report under it must say: a Genoa, at these patch levels. */
#define DEVELOPMENT_PRODUCT "Genoa"
enum {
    DEVELOPMENT_CPUID_FAMILY = 0x19,
    DEVELOPMENT_CPUID_MODEL  = 0x11,
    DEVELOPMENT_CPUID_STEP   = 1,
    DEVELOPMENT_BOOTLOADER   = 10,
    DEVELOPMENT_TEE          = 0,
    DEVELOPMENT_SNP          = 24,
    DEVELOPMENT_MICROCODE    = 88,
    DEVELOPMENT_CHIP_ID_LEN  = 64
};

struct development_root {
    EVP_PKEY     *vcek_key;       /* P-384, private */
    struct buffer ark, ask, vcek; /* DER */
    uint8_t       chip_id[DEVELOPMENT_CHIP_ID_LEN];
};

void development_root_free(struct development_root *root);
static inline void auto_development_root(struct development_root *root) { development_root_free(root); }

/*
 * Where this user's root is: the simulated platform of this machine signs under it, and a development broker of the
 * same user trusts it. $CLOISTER_DEVELOPMENT_ROOT, else cloister/dev-tee in $XDG_DATA_HOME or $HOME/.local/share, else
 * /var/lib/cloister/dev-tee. `out` is yours, AUTO(text).
 */
void development_root_folder(char **out);

/* Beside it, dev-tee-tpm: the software TPM of this user's guests; its key is in `ak.pub`, TPM2B_PUBLIC. */
void development_tpm_folder(char **out);

/*
 * Makes a root in `folder`, which need not exist, valid from a day before `now`; takes seconds (two RSA-4096 keys).
 * The folder appears whole. Where another maker was first, its root stays and this one is dropped; a folder without
 * a key was left half made and is replaced.
 */
FALLIBLE development_root_make(const char *folder, int64_t now, struct err *err);
bool     development_root_exists(const char *folder);

/*
 * Reads it back.
 *
 *   out    yours, AUTO(development_root); written only on success
 *
 * Fails NOT_FOUND where there is none; MALFORMED, UNTRUSTED when key and VCEK do not belong together.
 */
FALLIBLE development_root_load(const char *folder, struct development_root *out, struct err *err);
