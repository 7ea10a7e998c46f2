/*
 * The epochs of volumes: for the path of a volume's key, how far the volume was brought. A guest that has brought a volume
 * to the next epoch says so before a workload sees the volume; a copy from before is then known for what it is, as is a
 * second guest that opened the same state. Kept as documents, so that administrators see and rewind them; each step is one
 * version.
 */
#pragma once

#include "keys/store/store.h"

enum { EPOCH_TEXT_MAX = 64 };
#define EPOCH_MAX (1ULL << 53)

/* 0: none. Fails OS. */
FALLIBLE epoch_get(struct store *store, const char *path, int64_t now, uint64_t *out, struct err *err);

/* Fails DENIED unless `epoch` is beyond the one that is known. */
FALLIBLE epoch_advance(struct store *store, const char *path, uint64_t epoch, int64_t now, struct err *err);

/* What administrators may store: a number below EPOCH_MAX, in decimal. Fails MALFORMED. */
FALLIBLE epoch_text_read(struct bytes text, uint64_t *out, struct err *err);
