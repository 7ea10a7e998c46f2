/*
 * An empty ext4 file system, written by the few hundred lines that it takes: mkfs and its libraries would be most of what
 * the initrd holds besides the agent. No checksums: what lies below is authenticated. e2fsck judges the result in the tests.
 * [Linux, Documentation/filesystems/ext4]
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

enum { EXT4_BLOCK = 4096, EXT4_SEED_LEN = 32 };
#define EXT4_LEN_MIN (8ULL << 20)
#define EXT4_LEN_MAX (1ULL << 40)

/*
 * Writes the file system over the first `len` bytes of `fd`, whatever was there. Everything that is read before it is
 * written by the kernel, the journal among it, is written here: a disk of dm-integrity has no zeros of its own.
 *
 *   seed    random: the UUID, and the hash seed of directories
 *
 * Fails LIMIT for a length below EXT4_LEN_MIN or over EXT4_LEN_MAX, OS.
 */
FALLIBLE ext4_format(int fd, uint64_t len, const uint8_t seed[static EXT4_SEED_LEN], struct err *err);
