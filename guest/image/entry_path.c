#include "guest/image/entry_path.h"

#include <string.h>

#define WHITEOUT_PREFIX ".wh."
#define WHITEOUT_META   ".wh..wh."

/* [OCI-IMAGE layer, whiteouts]: a prefix on the last step names what the layers below lose. */
static FALLIBLE whiteout_read(struct entry_path *p, struct err *err)
{
    const char *hidden = p->base + strlen(WHITEOUT_PREFIX);

    if (strncmp(p->base, WHITEOUT_PREFIX, strlen(WHITEOUT_PREFIX)) != 0)
        return true;
    if (strcmp(p->base, WHITEOUT_META ".opq") == 0) {
        p->whiteout = WHITEOUT_OPAQUE;
        return true;
    }
    if (strncmp(p->base, WHITEOUT_META, strlen(WHITEOUT_META)) == 0)
        return fail_with(err, ERR_UNSUPPORTED, "metadata of the AUFS file system in a layer");
    if (hidden[0] == '\0' || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)
        return fail_with(err, ERR_MALFORMED, "a whiteout of nothing");
    p->whiteout = WHITEOUT_NAME;
    p->base     = hidden;
    return true;
}

static FALLIBLE step_add(struct entry_path *p, size_t *len, struct bytes step, struct err *err)
{
    bool is_up = step.len == 2 && memcmp(step.at, "..", 2) == 0;

    if (step.len == 0 || (step.len == 1 && step.at[0] == '.'))
        return true;
    if (is_up)
        return fail_with(err, ERR_MALFORMED, "\"..\" in the path of an entry");
    if (step.len > TAR_COMPONENT_MAX || *len + 1 + step.len > TAR_PATH_MAX)
        return fail_with(err, ERR_LIMIT, "a path, or a step in it, is too long");
    if (p->depth > 0 && strncmp(p->base, WHITEOUT_PREFIX, strlen(WHITEOUT_PREFIX)) == 0)
        return fail_with(err, ERR_MALFORMED, "a path through a whiteout");
    if (p->depth > 0)
        p->text[(*len)++] = '/';
    p->base = p->text + *len;
    memcpy(p->text + *len, step.at, step.len);
    *len += step.len;
    p->text[*len] = '\0';
    p->depth++;
    return true;
}

FALLIBLE entry_path_read(const char *name, struct entry_path *out, struct err *err)
{
    struct bytes left = bytes_of_text(name);
    size_t       len  = 0;

    *out                 = (struct entry_path){ .depth = 0 };
    out->base            = out->text;
    out->has_final_slash = left.len > 0 && left.at[left.len - 1] == '/';
    while (left.len > 0) {
        const uint8_t *slash = memchr(left.at, '/', left.len);
        struct bytes   step  = { left.at, slash ? (size_t) (slash - left.at) : left.len };
        size_t         used  = step.len + (slash ? 1 : 0);

        if (!step_add(out, &len, step, err))
            return false;
        left = (struct bytes){ left.at + used, left.len - used };
    }
    if (out->depth > 1) {
        out->text[out->base - out->text - 1] = '\0'; /* the slash before the last step */
        out->parent                          = out->text;
    } else {
        out->parent = "";
    }
    return whiteout_read(out, err);
}
