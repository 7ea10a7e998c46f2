/*
 * What `start` found out about a container's image and leaves in its bundle for the pod's shim: `start` may wait for
 * containerd, the shim may not.
 */
#pragma once

#include "base/bytes.h"

enum { IMAGE_NOTE_DIGEST = 7 + 64 + 1, IMAGE_NOTE_PATH = 512, IMAGE_NOTE_WHY = 128 };

struct image_note {
    char digest[IMAGE_NOTE_DIGEST]; /* "sha256:…" of the manifest for this platform; "": not known */
    char blobs[IMAGE_NOTE_PATH];    /* folder with blobs/sha256/…; "": not known */
    char why[IMAGE_NOTE_WHY];       /* why something is not known */
};

/* Fails MALFORMED, LIMIT. A digest or a path that is none is as good as unknown: it fails. */
FALLIBLE image_note_read(struct bytes text, struct image_note *out, struct err *err);
void     image_note_write(const struct image_note *note, struct buffer *out);

/* From and to a bundle; one without a note gives the zero state. */
FALLIBLE image_note_load(const char *bundle, struct image_note *out, struct err *err);
FALLIBLE image_note_save(const char *bundle, const struct image_note *note, struct err *err);
