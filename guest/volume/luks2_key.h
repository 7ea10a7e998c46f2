/*
 * The volume key of a LUKS2 disk: taken out of a keyslot, or put into one. PBKDF2 only: what the broker gives is a random
 * key, which no slower function makes better; cryptsetup's default, Argon2, is not in the guest's OpenSSL.
 * [LUKS2 On-Disk Format Specification 1.1; LUKS1 On-Disk Format Specification 1.2, section 2.4, for the anti-forensic splitter]
 */
#pragma once

#include "base/secret.h"
#include "guest/volume/luks2_header.h"

/*
 * Tries each keyslot with `passphrase`.
 *
 *   fd    the disk
 *   out   LUKS2_KEY_LEN bytes, yours, AUTO(secret)
 *
 * Fails UNTRUSTED when none opens, OS.
 */
FALLIBLE luks2_key_open(int fd, const struct luks2_header *header, const struct secret *passphrase, struct secret *out, struct err *err);

/*
 * Makes salts, the digest and one keyslot for `key` in `header`, whose copy_len and segment_offset say where there is
 * room, and gives the keyslot's area: `area` is appended to. Fails OS.
 */
FALLIBLE luks2_key_store(struct luks2_header *header, const struct secret *key, const struct secret *passphrase, struct buffer *area,
                         struct err *err);
