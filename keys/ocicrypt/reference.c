#include "keys/ocicrypt/reference.h"

#include <stdio.h>
#include <string.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"

static bool consists_of(struct bytes text, const char *set)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] == '\0' || !strchr(set, text.at[i]))
            return false;
    return true;
}

/* What stands before the first `stop`, which is skipped; all when there is none. */
static struct bytes cut(struct bytes *rest, char stop)
{
    const uint8_t *at   = rest->len > 0 ? memchr(rest->at, stop, rest->len) : NULL;
    struct bytes   head = at ? (struct bytes){ rest->at, (size_t) (at - rest->at) } : *rest;

    *rest = at ? (struct bytes){ at + 1, rest->len - head.len - 1 } : (struct bytes){ 0 };
    return head;
}

static bool contains(struct bytes text, char c)
{
    return text.len > 0 && memchr(text.at, c, text.len);
}

static void keep(char *out, struct bytes text)
{
    memcpy(out, text.at, text.len);
    out[text.len] = '\0';
}

/* Labels of letters, digits and inner hyphens; then a port. */
static FALLIBLE registry_read(struct bytes text, char *out, struct err *err)
{
    struct bytes rest = text, host = cut(&rest, ':'), labels = host;
    bool         has_port = host.len < text.len;

    if (text.len > REFERENCE_REGISTRY_MAX)
        return fail_with(err, ERR_LIMIT, "registry: a name of %zu bytes", text.len);
    if (text.len > 0 && text.at[0] == '[')
        return fail_with(err, ERR_UNSUPPORTED, "registry: an IPv6 literal; give it a name");
    if (has_port && (rest.len == 0 || rest.len > 5 || !consists_of(rest, DIGIT)))
        return fail_with(err, ERR_MALFORMED, "registry: a port that is not a number");
    do {
        struct bytes label = cut(&labels, '.');

        if (label.len == 0 || label.at[0] == '-' || label.at[label.len - 1] == '-' ||
            !consists_of(label, LOWER UPPER DIGIT "-"))
            return fail_with(err, ERR_MALFORMED, "registry: not a host name");
    } while (labels.at);
    keep(out, text);
    for (char *c = out; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char) (*c - 'A' + 'a');
    if (strcmp(out, "index.docker.io") == 0) /* as Docker has it: else what is said of one name could be evaded by the other */
        memcpy(out, "docker.io", sizeof "docker.io");
    return true;
}

/* [a-z0-9]+ parts with one of ".", "_", "__" or hyphens in between. */
static bool is_path_component(struct bytes c)
{
    size_t at = 0;

    while (at < c.len) {
        size_t word = 0, gap = 0;

        while (at + word < c.len && strchr(LOWER DIGIT, c.at[at + word]) && c.at[at + word])
            word++;
        if (word == 0)
            return false;
        at += word;
        while (at + gap < c.len && strchr("._-", c.at[at + gap]) && c.at[at + gap])
            gap++;
        struct bytes between = { c.at + at, gap };

        if (gap > 1 && !consists_of(between, "-") && !bytes_equal(between, bytes_of_text("__")))
            return false;
        at += gap;
        if (at == c.len)
            return gap == 0;
    }
    return false;
}

static FALLIBLE repository_read(struct bytes text, struct image_reference *out, struct err *err)
{
    static const char library[] = "library/";
    bool   is_short  = strcmp(out->registry, "docker.io") == 0 && !contains(text, '/');
    size_t front_len = is_short ? sizeof library - 1 : 0;
    struct bytes rest = text;

    if (text.len > REFERENCE_REPOSITORY_MAX - front_len)
        return fail_with(err, ERR_LIMIT, "repository: a name of %zu bytes", text.len);
    do {
        if (!is_path_component(cut(&rest, '/')))
            return fail_with(err, ERR_MALFORMED, "repository: lower-case letters and digits, with . _ - inside, are wanted");
    } while (rest.at);
    memcpy(out->repository, library, front_len);
    keep(out->repository + front_len, text);
    return true;
}

static FALLIBLE tag_read(struct bytes text, char *out, struct err *err)
{
    if (text.len == 0 || text.len > REFERENCE_TAG_MAX || text.at[0] == '.' || text.at[0] == '-' ||
        !consists_of(text, LOWER UPPER DIGIT "._-"))
        return fail_with(err, ERR_MALFORMED, "tag: 1 to %d letters, digits, dots, hyphens are wanted",
                         REFERENCE_TAG_MAX);
    keep(out, text);
    return true;
}

static bool is_registry(struct bytes first, bool has_more)
{
    return has_more && (contains(first, '.') || contains(first, ':') || bytes_equal(first, bytes_of_text("localhost")));
}

FALLIBLE image_reference_read(struct bytes text, struct image_reference *out, struct err *err)
{
    struct image_reference read = { 0 };
    struct bytes           rest = text, name = cut(&rest, '@'), digest = rest, after, first;

    if (text.len > REFERENCE_TEXT_MAX)
        return fail_with(err, ERR_LIMIT, "image name: %zu bytes", text.len);
    read.has_digest = name.len < text.len;
    if (read.has_digest && !digest_read(digest, &read.digest, err))
        return context(err, "image name");
    after = name;
    first = cut(&after, '/');
    if (is_registry(first, first.len < name.len)) {
        if (!registry_read(first, read.registry, err))
            return context(err, "image name");
        name = after;
    }
    after = name;
    first = cut(&after, ':');
    if (!repository_read(first, &read, err) || (first.len < name.len && !tag_read(after, read.tag, err)))
        return context(err, "image name");
    read.has_tag = read.tag[0] != '\0';
    if (!read.has_digest && !read.has_tag)
        memcpy(read.tag, "latest", sizeof "latest");
    *out = read;
    return true;
}

struct reference_text image_reference_name(const struct image_reference *r)
{
    struct reference_text text;

    (void) snprintf(text.at, sizeof text.at, "%s%s%s", r->registry, r->registry[0] ? "/" : "",
                    r->repository); /* fits by the sizes of its parts */
    return text;
}

struct reference_text image_reference_text(const struct image_reference *r)
{
    struct reference_text text   = image_reference_name(r);
    struct digest_text    digest = digest_text(&r->digest);
    size_t                len    = strlen(text.at);

    (void) snprintf(text.at + len, sizeof text.at - len, "%s%s%s%s", r->tag[0] ? ":" : "", r->tag,
                    r->has_digest ? "@" : "", r->has_digest ? digest.at : ""); /* as above */
    return text;
}
