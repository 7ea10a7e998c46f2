#include "runtime/shim/pod_files.h"

#include <string.h>

#include "base/file.h"

void pod_files_free(struct pod_files *files)
{
    buffer_free(&files->hostname);
    buffer_free(&files->hosts);
    buffer_free(&files->resolv_conf);
}

static void add_words(struct buffer *out, const char *keyword, char *const *words, size_t n)
{
    if (n == 0)
        return;
    buffer_append_text(out, keyword);
    for (size_t i = 0; i < n; i++)
        buffer_printf(out, " %s", words[i]);
    buffer_append_text(out, "\n");
}

static void write_resolv_conf(const Engine__DNSConfig *dns, struct buffer *out)
{
    add_words(out, "search", dns->searches, dns->n_searches);
    for (size_t i = 0; i < dns->n_servers; i++)
        buffer_printf(out, "nameserver %s\n", dns->servers[i]);
    add_words(out, "options", dns->options, dns->n_options);
}

FALLIBLE pod_files_make(const Engine__PodConfig *config, const char *node_resolv_conf, struct pod_files *out, struct err *err)
{
    AUTO(pod_files) struct pod_files made = { 0 };

    if (*config->hostname)
        buffer_printf(&made.hostname, "%s\n", config->hostname);
    buffer_append_text(&made.hosts, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    if (config->dns_config)
        write_resolv_conf(config->dns_config, &made.resolv_conf);
    else if (!file_read(node_resolv_conf, VOLUME_FILE_LEN_MAX, &made.resolv_conf, err) && err->kind != ERR_NOT_FOUND)
        return false;
    *out = TAKE(made);
    return true;
}

static bool is_mounted(const struct container_spec *spec, const char *path)
{
    for (size_t i = 0; i < spec->n_mounts; i++)
        if (strcmp(spec->mounts[i].target, path) == 0)
            return true;
    return false;
}

FALLIBLE pod_files_add(const struct pod_files *files, const struct container_spec *spec, struct host_volumes *volumes,
                       struct err *err)
{
    const struct { const char *path; const struct buffer *content; } all[] = { { "/etc/hostname", &files->hostname },
                                                                               { "/etc/hosts", &files->hosts },
                                                                               { "/etc/resolv.conf", &files->resolv_conf } };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].content->len > 0 && !is_mounted(spec, all[i].path) &&
            !host_volumes_add(volumes, all[i].path, 0644, buffer_bytes(all[i].content), err))
            return contextf(err, "%s", all[i].path);
    return true;
}
