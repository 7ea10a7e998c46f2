/*
 * The table of GUIDs at the end of an OVMF-style firmware image, through which a VMM finds everything else.
 * It is read backwards from 32 bytes before the end of the image. [OVMF-METADATA 1]
 */
#pragma once

#include "base/bytes.h"

enum { GUID_LEN = 16, FOOTER_ENTRIES_MAX = 32, FOOTER_GAP = 32, FIRMWARE_LEN_MAX = 16 << 20 };

/* GUIDs as the file has them: the first three fields little endian. */
extern const uint8_t GUID_FOOTER[GUID_LEN];
extern const uint8_t GUID_SEV_METADATA[GUID_LEN];
extern const uint8_t GUID_SEV_HASH_TABLE[GUID_LEN];
extern const uint8_t GUID_SEV_ES_RESET[GUID_LEN];
extern const uint8_t GUID_TDX_METADATA[GUID_LEN];
extern const uint8_t GUID_STAGE0_HASHES[GUID_LEN]; /* ours: where in the image the launcher writes the hashes */

struct footer_entry {
    struct bytes guid;
    struct bytes content;
};

struct footer {
    struct footer_entry at[FOOTER_ENTRIES_MAX];
    size_t              n;
};

/*
 * Reads the table of `image`, a whole firmware file.
 *
 *   out    written only on success; borrows from `image`
 *
 * Fails NOT_FOUND when the image ends without such a table, MALFORMED when the table does not hold together (a
 * GUID that occurs twice included), LIMIT over FOOTER_ENTRIES_MAX entries.
 */
FALLIBLE footer_read(struct bytes image, struct footer *out, struct err *err);

/* The content stored under `guid`; false when there is none. */
bool footer_find(const struct footer *footer, const uint8_t guid[static GUID_LEN], struct bytes *out);

/*
 * The part of `image` that starts `from_end` bytes before its end, found under `guid` as a 32-bit number.
 * `present` tells whether there is such an entry at all. Fails MALFORMED when the number points outside.
 */
FALLIBLE footer_follow(const struct footer *footer, const uint8_t guid[static GUID_LEN], struct bytes image,
                       bool *present, struct bytes *out, struct err *err);
