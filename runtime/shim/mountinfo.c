#include "runtime/shim/mountinfo.h"

#include <string.h>

/* One word; the kernel writes what would divide words as a backslash and three octal digits. */
static FALLIBLE take_word(struct bytes *line, char *out, size_t room, bool may_be_cut, struct err *err)
{
    const char *at = (const char *) line->at, *end = at + line->len;
    size_t      n  = 0;

    for (; at < end && *at != ' '; at++) {
        char c = *at;

        if (n + 1 == room && !may_be_cut)
            return fail_with(err, ERR_LIMIT, "mountinfo: a word over %zu characters", room - 1);
        if (c == '\\' && end - at >= 4 && strchr("0123", at[1]) && strchr("01234567", at[2]) && strchr("01234567", at[3])) {
            c = (char) (((at[1] - '0') << 6) | ((at[2] - '0') << 3) | (at[3] - '0'));
            at += 3;
        }
        if (n + 1 < room)
            out[n++] = c;
    }
    out[n] = 0;
    at += at < end;
    *line = (struct bytes){ (const uint8_t *) at, (size_t) (end - at) };
    return n > 0 || fail_with(err, ERR_MALFORMED, "mountinfo: a line ends early");
}

static FALLIBLE skip_word(struct bytes *line, struct err *err)
{
    char word[8];

    return take_word(line, word, sizeof word, true, err);
}

/* "ID PARENT MAJOR:MINOR ROOT POINT OPTIONS TAGS... - TYPE SOURCE OPTIONS" */
static FALLIBLE read_line(struct bytes line, struct mount_line *out, struct err *err)
{
    char word[4];

    if (!skip_word(&line, err) || !skip_word(&line, err) || !take_word(&line, out->device, sizeof out->device, false, err) ||
        !take_word(&line, out->root, sizeof out->root, false, err) || !take_word(&line, out->point, sizeof out->point, false, err) ||
        !skip_word(&line, err))
        return false;
    do
        if (!take_word(&line, word, sizeof word, true, err))
            return false;
    while (strcmp(word, "-") != 0);
    return take_word(&line, out->type, sizeof out->type, true, err) && skip_word(&line, err) &&
           take_word(&line, out->options, sizeof out->options, true, err);
}

FALLIBLE mountinfo_next(struct bytes *left, struct mount_line *out, bool *is_there, struct err *err)
{
    const uint8_t *end = left->len > 0 ? memchr(left->at, '\n', left->len) : NULL;
    size_t         len = end ? (size_t) (end - left->at) : left->len;
    struct bytes   line = { left->at, len };

    *is_there = left->len > 0;
    if (!*is_there)
        return true;
    len += end != NULL;
    *left = (struct bytes){ left->at + len, left->len - len };
    return read_line(line, out, err);
}
