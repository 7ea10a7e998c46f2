#include "runtime/kubernetes/containerd_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEGIN_MARK  "# begin cloister: written by `cloister install node`, taken out by `cloister uninstall node`\n"
#define END_MARK    "# end cloister\n"
#define SHELVED     "#cloister# " /* in front of a line of the owner's that waits until we are gone */
#define NO_NEWLINE  "# the file ended without a new line\n"

enum { FORMAT_NONE = 0, FORMAT_2 = 2, FORMAT_3 = 3, LINE_SHOWN = 80 };

static const char *const images_table[] = { [FORMAT_2] = "plugins.\"io.containerd.grpc.v1.cri\".containerd",
                                            [FORMAT_3] = "plugins.\"io.containerd.cri.v1.images\"" };
static const char *const runtimes_table[] = { [FORMAT_2] = "plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes",
                                              [FORMAT_3] = "plugins.\"io.containerd.cri.v1.runtime\".containerd.runtimes" };

/* The next line with its end, or empty at the end of the text. */
static struct bytes next_line(struct bytes *left)
{
    const uint8_t *end  = left->len > 0 ? memchr(left->at, '\n', left->len) : NULL;
    size_t         len  = end ? (size_t) (end - left->at) + 1 : left->len;
    struct bytes   line = { left->at, len };

    left->at += len;
    left->len -= len;
    return line;
}

static struct bytes trimmed(struct bytes line)
{
    while (line.len > 0 && strchr(" \t", line.at[0]))
        line = (struct bytes){ line.at + 1, line.len - 1 };
    while (line.len > 0 && strchr(" \t\r\n", line.at[line.len - 1]))
        line.len--;
    return line;
}

/* Zero for an empty line. */
static char first_of(struct bytes line)
{
    struct bytes text = trimmed(line);

    return text.len > 0 ? (char) text.at[0] : 0;
}

static bool begins(struct bytes line, const char *with)
{
    return line.len >= strlen(with) && memcmp(line.at, with, strlen(with)) == 0;
}

/* Whether the line is the header of this table, with either kind of quotes. */
static bool is_header(struct bytes line, const char *table)
{
    struct bytes text = trimmed(line);
    size_t       len  = strlen(table);

    if (text.len < len + 2 || text.at[0] != '[' || text.at[len + 1] != ']')
        return false;
    for (size_t i = 0; i < len; i++)
        if ((text.at[i + 1] == '\'' ? '"' : text.at[i + 1]) != table[i])
            return false;
    return true;
}

/* Whether the line sets this key, in the table that it is in. */
static bool sets(struct bytes line, const char *key)
{
    struct bytes text = trimmed(line);

    if (!begins(text, key))
        return false;
    return first_of((struct bytes){ text.at + strlen(key), text.len - strlen(key) }) == '=';
}

static FALLIBLE find_format(struct bytes text, unsigned major, int *out, struct err *err)
{
    struct bytes left = text;

    *out = text.len == 0 ? (major >= 2 ? FORMAT_3 : FORMAT_2) : FORMAT_NONE;
    while (left.len > 0) {
        struct bytes line = next_line(&left);

        if (first_of(line) == '[')
            break;
        if (sets(line, "version"))
            *out = memchr(line.at, '3', line.len) ? FORMAT_3 : memchr(line.at, '2', line.len) ? FORMAT_2 : FORMAT_NONE;
    }
    if (*out == FORMAT_2 && major >= 2)
        return fail_with(err, ERR_UNSUPPORTED, "containerd 2 forgets the snapshotter of a configuration of version 2; bring it to version 3: containerd config migrate");
    return *out != FORMAT_NONE ||
           fail_with(err, ERR_UNSUPPORTED, "containerd's configuration has no `version = 2` or `version = 3`; containerd config migrate writes one");
}

static FALLIBLE check_free(struct bytes text, int format, struct err *err)
{
    struct bytes left = text;
    char         ours[100];

    (void) snprintf(ours, sizeof ours, "%s." HANDLER, runtimes_table[format]); /* fits */
    while (left.len > 0) {
        struct bytes line = next_line(&left);

        if (begins(line, "# begin cloister"))
            return fail_with(err, ERR_CONFIG, "cloister is in containerd's configuration already; first: cloister uninstall node");
        if (is_header(line, ours))
            return fail_with(err, ERR_CONFIG, "containerd's configuration has a runtime \"" HANDLER "\" of its own");
    }
    return true;
}

/* Whether one snapshotter serves the whole node: a handler has its own since 1.7. */
static bool is_for_all(const struct containerd_choice *c)
{
    return c->major == 1 && c->minor < 7;
}

static void add_image_keys(const struct containerd_choice *c, int format, struct buffer *out)
{
    buffer_append_text(out, "disable_snapshot_annotations = false\n");
    if (format == FORMAT_2 && is_for_all(c))
        buffer_append_text(out, "snapshotter = \"" SNAPSHOTTER_NAME "\"\n");
}

struct handler { const char *name, *settings, *shim; };

/*
 * Version 3 is for containerd 2, whose own sandbox service needs no pause container. Up to 2.3 that service cannot be given
 * options, and finds the program by its type: the shim finds its settings by the name of the program.
 */
static void add_handler(const struct containerd_choice *c, int format, const struct handler *h, struct buffer *out)
{
    buffer_printf(out, "[%s.%s]\n", runtimes_table[format], h->name);
    buffer_printf(out, "runtime_type = \"%s\"\nruntime_path = \"%s\"\n",
                  format == FORMAT_3 ? h->shim : "io.containerd.cloister.v2", h->shim);
    buffer_append_text(out, "privileged_without_host_devices = true\n"
                            "pod_annotations = [\"io.cloister.*\", \"io.katacontainers.config.hypervisor.cc_init_data\"]\n");
    if (!is_for_all(c))
        buffer_append_text(out, "snapshotter = \"" SNAPSHOTTER_NAME "\"\n");
    if (format == FORMAT_3)
        buffer_printf(out, "sandboxer = \"shim\"\n[%s.runtime_platforms.%s]\nsnapshotter = \"" SNAPSHOTTER_NAME "\"\n",
                      images_table[format], h->name);
    else
        buffer_printf(out, "[%s.%s.options]\nTypeUrl = \"runtimeoptions.v1.Options\"\nConfigPath = \"%s\"\n",
                      runtimes_table[format], h->name, h->settings);
}

/* What the file has already of what is added at its end. */
struct present { bool images_table, runc; };

/* A file that names any runtime must name all of them: containerd's own runc is the default no longer. */
static void add_runc(int format, struct buffer *out)
{
    buffer_printf(out, "[%s.runc]\nruntime_type = \"io.containerd.runc.v2\"\n", runtimes_table[format]);
}

static void add_end(const struct containerd_choice *c, int format, struct present has, struct buffer *out)
{
    buffer_append_text(out, BEGIN_MARK);
    if (!has.runc)
        add_runc(format, out);
    if (!has.images_table) {
        buffer_printf(out, "[%s]\n", images_table[format]);
        add_image_keys(c, format, out);
    }
    add_handler(c, format, &(struct handler){ HANDLER, c->settings, c->shim }, out);
    add_handler(c, format, &(struct handler){ HANDLER_DEVELOPMENT, c->development_settings, format == FORMAT_3 ? c->development_shim : c->shim }, out);
    buffer_printf(out, "[proxy_plugins." SNAPSHOTTER_NAME "]\ntype = \"snapshot\"\naddress = \"%s\"\n", c->snapshotter_socket);
    buffer_append_text(out, END_MARK);
}

FALLIBLE containerd_config_add(struct bytes present, const struct containerd_choice *choice, struct buffer *out, struct err *err)
{
    bool           is_inside = false;
    struct present has       = { false, false };
    struct bytes   left      = present;
    char           runc[100];
    int            format;

    if (!find_format(present, choice->major, &format, err) || !check_free(present, format, err))
        return false;
    if (present.len == 0)
        buffer_printf(out, BEGIN_MARK "version = %d\n" END_MARK, format);
    (void) snprintf(runc, sizeof runc, "%s.runc", runtimes_table[format]); /* fits */
    while (left.len > 0) {
        struct bytes line = next_line(&left);

        has.runc |= is_header(line, runc);
        if (first_of(line) == '[')
            is_inside = is_header(line, images_table[format]);
        if (is_inside && (sets(line, "disable_snapshot_annotations") || (is_for_all(choice) && sets(line, "snapshotter"))))
            buffer_append_text(out, SHELVED);
        buffer_append(out, line);
        if (is_inside && is_header(line, images_table[format])) {
            buffer_append_text(out, BEGIN_MARK);
            add_image_keys(choice, format, out);
            buffer_append_text(out, END_MARK);
            has.images_table = true;
        }
    }
    if (present.len > 0 && present.at[present.len - 1] != '\n')
        buffer_append_text(out, "\n" NO_NEWLINE);
    add_end(choice, format, has, out);
    return true;
}

bool containerd_config_remove(struct bytes present, struct buffer *out)
{
    bool is_ours = false, found = false;

    while (present.len > 0) {
        struct bytes line = next_line(&present);

        if (begins(line, "# begin cloister"))
            is_ours = found = true;
        else if (is_ours && begins(line, "# end cloister"))
            is_ours = false;
        else if (!is_ours && begins(line, NO_NEWLINE))
            out->len--; /* the new line that was put in before it */
        else if (!is_ours && begins(line, SHELVED))
            buffer_append(out, (struct bytes){ line.at + strlen(SHELVED), line.len - strlen(SHELVED) });
        else if (!is_ours)
            buffer_append(out, line);
    }
    return found;
}

/* "containerd PACKAGE VERSION …": "github.com/containerd/containerd 1.6.20~ds1", "github.com/containerd/containerd/v2 v2.1.9" */
FALLIBLE containerd_version_read(const char *text, unsigned *major, unsigned *minor, struct err *err)
{
    if ((sscanf(text, "containerd %*s v%u.%u", major, minor) != 2 && sscanf(text, "containerd %*s %u.%u", major, minor) != 2) || *major == 0)
        return fail_with(err, ERR_MALFORMED, "containerd --version says \"%.*s\"", LINE_SHOWN, text);
    return true;
}
