#include "runtime/shim/settings.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/toml.h"
#include "guest/api/message.h"
#include "runtime/shim/limits.h"

#define PROGRAM_PREFIX "containerd-shim-cloister-"
#define PROGRAM_SUFFIX "-v2"
#define OPTIONS_TYPE   "runtimeoptions.v1.Options"

enum { TIMEOUT_MAX_S = 3600, CACHE_MAX_MIB = 1 << 30 };

void settings_default(struct settings *out)
{
    *out = (struct settings){ .tee = "auto", .accel = "auto", .channel = "auto", .cpus = 1, .memory_mib = 512,
                              .memory_most_mib = 64 << 10, .boot_timeout_s = 180, .kill_timeout_s = 30, .cache_max_mib = 20480 };
}

void settings_free(struct settings *settings)
{
    json_object_put(settings->document);
    *settings = (struct settings){ 0 };
}

static FALLIBLE read_text(const char *name, struct json_object *value, const char **out, struct err *err)
{
    if (!json_object_is_type(value, json_type_string) || !*json_object_get_string(value))
        return fail_with(err, ERR_CONFIG, "%s: a text is wanted", name);
    *out = json_object_get_string(value);
    return true;
}

static FALLIBLE read_path(const char *name, struct json_object *value, const char **out, struct err *err)
{
    return read_text(name, value, out, err) &&
           (**out == '/' || fail_with(err, ERR_CONFIG, "%s: an absolute path is wanted", name));
}

static FALLIBLE read_number(const char *name, struct json_object *value, uint64_t least, uint64_t most, uint64_t *out,
                            struct err *err)
{
    int64_t n = json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : -1;

    if (n < 0 || (uint64_t) n < least || (uint64_t) n > most)
        return fail_with(err, ERR_CONFIG, "%s: %llu to %llu is wanted", name, (unsigned long long) least,
                         (unsigned long long) most);
    *out = (uint64_t) n;
    return true;
}

static FALLIBLE read_key(struct settings *s, const char *name, struct json_object *value, struct err *err)
{
    if (strcmp(name, "development") == 0) {
        s->development = json_object_get_boolean(value);
        return json_object_is_type(value, json_type_boolean) || fail_with(err, ERR_CONFIG, "development: true or false is wanted");
    }
    if (strcmp(name, "TypeUrl") == 0) /* containerd's own, in the same table */
        return true;
    return strcmp(name, "initdata") == 0      ? read_path(name, value, &s->initdata, err)
           : strcmp(name, "guest") == 0       ? read_path(name, value, &s->guest, err)
           : strcmp(name, "blobs") == 0       ? read_path(name, value, &s->blobs, err)
           : strcmp(name, "cache") == 0       ? read_path(name, value, &s->cache, err)
           : strcmp(name, "cache_max") == 0   ? read_number(name, value, 1, CACHE_MAX_MIB, &s->cache_max_mib, err)
           : strcmp(name, "tee") == 0         ? read_text(name, value, &s->tee, err)
           : strcmp(name, "accel") == 0       ? read_text(name, value, &s->accel, err)
           : strcmp(name, "channel") == 0     ? read_text(name, value, &s->channel, err)
           : strcmp(name, "cpus") == 0        ? read_number(name, value, 1, VM_CPUS_MAX, &s->cpus, err)
           : strcmp(name, "memory") == 0      ? read_number(name, value, VM_MEMORY_MIN_MIB, VM_MEMORY_MAX_MIB, &s->memory_mib, err)
           : strcmp(name, "memory_most") == 0 ? read_number(name, value, VM_MEMORY_MIN_MIB, VM_MEMORY_MAX_MIB, &s->memory_most_mib, err)
           : strcmp(name, "kill_timeout") == 0 ? read_number(name, value, 1, TIMEOUT_MAX_S, &s->kill_timeout_s, err)
           : strcmp(name, "boot_timeout") == 0 ? read_number(name, value, 1, TIMEOUT_MAX_S, &s->boot_timeout_s, err)
                                               : fail_with(err, ERR_CONFIG, "unknown key \"%.40s\"", name);
}

FALLIBLE settings_read(struct bytes text, struct settings *out, struct err *err)
{
    AUTO(settings) struct settings found = { 0 };

    settings_default(&found);
    if (text.len > SHIM_SETTINGS_MAX)
        return fail_with(err, ERR_LIMIT, "over %d bytes", SHIM_SETTINGS_MAX);
    if (!toml_read(text, &found.document, err))
        return false;
    json_object_object_foreach(found.document, name, value) {
        if (!read_key(&found, name, value, err))
            return false;
    }
    if (found.initdata && !found.development)
        return fail_with(err, ERR_CONFIG, "initdata: only with development = true; else it comes with the pod");
    if (found.memory_mib > found.memory_most_mib)
        return fail_with(err, ERR_CONFIG, "memory: over memory_most");
    *out = TAKE(found);
    return true;
}

static FALLIBLE read_settings_file(const char *path, struct settings *out, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };

    if (*path != '/')
        return fail_with(err, ERR_CONFIG, "handler configuration %.100s: an absolute path is wanted", path);
    if (!file_read(path, SHIM_SETTINGS_MAX, &text, err))
        return context(err, "handler configuration");
    return settings_read(buffer_bytes(&text), out, err) || contextf(err, "handler configuration %.100s", path);
}

/* What stands between prefix and suffix; empty for the plain name and for names that are not ours. */
static struct bytes handler_of(const char *program)
{
    static const char prefix[] = PROGRAM_PREFIX, suffix[] = PROGRAM_SUFFIX;
    const char       *slash = strrchr(program, '/');
    struct bytes      name  = bytes_of_text(slash ? slash + 1 : program);
    size_t            least = sizeof prefix - 1 + sizeof suffix - 1;

    if (name.len <= least || memcmp(name.at, prefix, sizeof prefix - 1) != 0 ||
        memcmp(name.at + name.len - (sizeof suffix - 1), suffix, sizeof suffix - 1) != 0)
        return (struct bytes){ 0 };
    return (struct bytes){ name.at + sizeof prefix - 1, name.len - least };
}

FALLIBLE settings_find_file(const char *program, const char *directory, char out[static SETTINGS_PATH_MAX], struct err *err)
{
    struct bytes handler = handler_of(program);

    for (size_t i = 0; i < handler.len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-", handler.at[i]))
            return fail_with(err, ERR_CONFIG, "%.100s: a handler's name has small letters, digits and - only", program);
    int n = snprintf(out, SETTINGS_PATH_MAX, "%s/%.*s.toml", directory, handler.len > 0 ? (int) handler.len : 4,
                     handler.len > 0 ? (const char *) handler.at : "shim");
    if (n < 0 || n >= SETTINGS_PATH_MAX)
        return fail_with(err, ERR_LIMIT, "handler configuration: path over %d bytes", SETTINGS_PATH_MAX - 1);
    if (handler.len == 0 && access(out, F_OK) < 0)
        out[0] = 0;
    return true;
}

FALLIBLE settings_from_options(const Engine__Any *options, const char *file, struct settings *out, struct err *err)
{
    AUTO(message) ProtobufCMessage *message = NULL;

    if (!options || options->value.len == 0) {
        if (*file)
            return read_settings_file(file, out, err);
        settings_default(out);
        return true;
    }
    if (strcmp(options->type_url, OPTIONS_TYPE) != 0)
        return fail_with(err, ERR_CONFIG, "handler options of type %.60s: %s is wanted; leave runc's options out",
                         options->type_url, OPTIONS_TYPE);
    if (!message_read(&engine__options__descriptor, (struct bytes){ options->value.data, options->value.len },
                      MESSAGE_LOOSE, &message, err))
        return context(err, "handler options");
    const Engine__Options *read = (const Engine__Options *) message;
    if (*read->config_path)
        return read_settings_file(read->config_path, out, err);
    return settings_read((struct bytes){ read->config_body.data, read->config_body.len }, out, err) ||
           context(err, "handler options");
}

FALLIBLE settings_from_input(struct bytes input, const char *id, const char *file, struct settings *out, struct err *err)
{
    AUTO(message) ProtobufCMessage *message = NULL;
    AUTO(message) ProtobufCMessage *any     = NULL;
    struct err                      ignored; /* then it is no BootstrapParams */

    if (input.len == 0)
        return settings_from_options(NULL, file, out, err);
    if (message_read(&engine__bootstrap_params__descriptor, input, MESSAGE_LOOSE, &message, &ignored) &&
        strcmp(((const Engine__BootstrapParams *) message)->instance_id, id) == 0) {
        const Engine__BootstrapParams *params = (const Engine__BootstrapParams *) message;

        for (size_t i = 0; i < params->n_extensions; i++)
            if (params->extensions[i]->value && strcmp(params->extensions[i]->value->type_url, OPTIONS_TYPE) == 0)
                return settings_from_options(params->extensions[i]->value, file, out, err);
        return settings_from_options(NULL, file, out, err);
    }
    return message_read(&engine__any__descriptor, input, MESSAGE_LOOSE, &any, err)
               ? settings_from_options((const Engine__Any *) any, file, out, err)
               : context(err, "standard input");
}
