#include "runtime/shim/image_note.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "runtime/shim/limits.h"

#define NOTE_NAME "cloister-image.json"

static FALLIBLE copy_text(struct json_object *from, const char *name, char *out, size_t size, struct err *err)
{
    const char *text;

    if (!json_get_text(from, name, &text, err))
        return false;
    if (strlen(text) >= size)
        return fail_with(err, ERR_LIMIT, "%s: over %zu bytes", name, size - 1);
    memcpy(out, text, strlen(text) + 1);
    return true;
}

FALLIBLE image_note_read(struct bytes text, struct image_note *out, struct err *err)
{
    AUTO(json) struct json_object *document = NULL;
    struct image_note              n        = { 0 };

    if (!json_read(text, SHIM_RECORD_MAX, &document, err) ||
        !copy_text(document, "digest", n.digest, sizeof n.digest, err) ||
        !copy_text(document, "blobs", n.blobs, sizeof n.blobs, err) ||
        !copy_text(document, "why", n.why, sizeof n.why, err))
        return context(err, "image note");
    if (*n.digest && (strncmp(n.digest, "sha256:", 7) != 0 || strlen(n.digest) != 7 + 64 ||
                      strspn(n.digest + 7, "0123456789abcdef") != 64))
        return fail_with(err, ERR_MALFORMED, "image note: digest");
    if (*n.blobs && *n.blobs != '/')
        return fail_with(err, ERR_MALFORMED, "image note: blobs");
    *out = n;
    return true;
}

void image_note_write(const struct image_note *note, struct buffer *out)
{
    AUTO(json) struct json_object *document = json_object_new_object();

    json_add_text(document, "digest", note->digest);
    json_add_text(document, "blobs", note->blobs);
    json_add_text(document, "why", note->why);
    json_write(document, out);
}

FALLIBLE image_note_load(const char *bundle, struct image_note *out, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };
    AUTO(text) char           *path = NULL;

    if (asprintf(&path, "%s/" NOTE_NAME, bundle) < 0)
        abort();
    if (file_read(path, SHIM_RECORD_MAX, &text, err))
        return image_note_read(buffer_bytes(&text), out, err);
    *out = (struct image_note){ 0 };
    return err->kind == ERR_NOT_FOUND;
}

FALLIBLE image_note_save(const char *bundle, const struct image_note *note, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };
    AUTO(text) char           *path = NULL;

    if (asprintf(&path, "%s/" NOTE_NAME, bundle) < 0)
        abort();
    image_note_write(note, &text);
    return file_write(path, buffer_bytes(&text), 0600, err);
}
