/* The digest of a PE image that signatures and UEFI measurements use: all but what signing changes. [AUTHENTICODE] */
#pragma once

#include "base/ossl.h"

enum { AUTHENTICODE_SECTIONS_MAX = 96 };

/*
 * Hashes a whole PE or PE+ file, as EDK2 does.
 *
 *   out    EVP_MD_get_size(md) bytes, written only on success
 *
 * Fails MALFORMED when it is no PE file or its tables leave the file, LIMIT over AUTHENTICODE_SECTIONS_MAX sections.
 */
FALLIBLE authenticode_digest(struct bytes file, const EVP_MD *md, uint8_t *out, struct err *err);
