#include "guest/agent/wishes.h"

#include "guest/agent/desk.h"

FALLIBLE wishes_add_files(Agent__File *const *from, size_t n, struct volume_file *files, size_t *n_files, struct err *err)
{
    if (n > VOLUME_FILES_MAX - *n_files)
        return fail_with(err, ERR_LIMIT, "over %d files", VOLUME_FILES_MAX);
    for (size_t i = 0; i < n; i++)
        files[(*n_files)++] = (struct volume_file){ from[i]->path, { from[i]->content.data, from[i]->content.len }, from[i]->mode };
    return true;
}

/* `out` borrows. Fails MALFORMED, LIMIT. */
static FALLIBLE volumes_of(const Agent__CreateContainerRequest *asked, struct volumes *out, struct err *err)
{
    size_t n = 0;

    if (asked->n_file_volumes > VOLUME_TREES_MAX)
        return fail_with(err, ERR_LIMIT, "over %d volumes of files", VOLUME_TREES_MAX);
    if (asked->n_empty_directories > VOLUME_DIRECTORIES_MAX)
        return fail_with(err, ERR_LIMIT, "over %d empty directories", VOLUME_DIRECTORIES_MAX);
    if (asked->n_volumes > VOLUME_DISKS_MAX)
        return fail_with(err, ERR_LIMIT, "over %d volumes", VOLUME_DISKS_MAX);
    if (!wishes_add_files(asked->files, asked->n_files, out->files, &n, err))
        return false;
    for (size_t i = 0; i < asked->n_file_volumes; i++) {
        out->trees[i] = (struct volume_tree){ asked->file_volumes[i]->path, n, asked->file_volumes[i]->n_files };
        if (!wishes_add_files(asked->file_volumes[i]->files, asked->file_volumes[i]->n_files, out->files, &n, err))
            return false;
    }
    for (size_t i = 0; i < asked->n_empty_directories; i++) {
        const Agent__EmptyDirectory *directory = asked->empty_directories[i];

        out->directories[i] = (struct volume_directory){ directory->path, directory->volume, directory->read_only, 0, directory->sub_path };
    }
    for (size_t i = 0; i < asked->n_volumes; i++)
        out->disks[i] = (struct volume_disk){ .path = asked->volumes[i]->path, .volume = asked->volumes[i]->volume };
    out->termination_log = asked->termination_log;
    out->n_files         = asked->n_files;
    out->n_trees         = asked->n_file_volumes;
    out->n_directories = asked->n_empty_directories;
    out->n_disks       = asked->n_volumes;
    return volumes_check(out, err);
}

static FALLIBLE sysctls_of(const Agent__CreateContainerRequest *asked, struct pod_sysctls *out, struct err *err)
{
    if (asked->n_sysctls > SYSCTLS_MAX)
        return fail_with(err, ERR_LIMIT, "over %d sysctls", SYSCTLS_MAX);
    for (size_t i = 0; i < asked->n_sysctls; i++)
        out->rows[i] = (struct sysctl){ asked->sysctls[i]->name, asked->sysctls[i]->value };
    out->n = asked->n_sysctls;
    return pod_sysctls_check(out, err);
}

FALLIBLE wishes_read(const Agent__CreateContainerRequest *asked, struct wishes *out, struct err *err)
{
    out->hidden = (struct hidden_paths){ asked->masked_paths, asked->n_masked_paths, asked->readonly_paths, asked->n_readonly_paths };
    return volumes_of(asked, &out->volumes, err) && hidden_paths_check(&out->hidden, err) && sysctls_of(asked, &out->sysctls, err);
}

struct policy_request wishes_as_policy_sees(const Agent__CreateContainerRequest *asked, const struct wishes *wishes)
{
    return (struct policy_request){ .image_digest = asked->image_digest, .args = asked->args, .n_args = asked->n_args,
                                    .env = asked->env, .n_env = asked->n_env, .terminal = asked->terminal,
                                    .is_whole = asked->is_whole, .image_name = asked->image_name,
                                    .share_processes = asked->share_processes, .volumes = &wishes->volumes,
                                    .hidden = &wishes->hidden, .sysctls = &wishes->sysctls };
}

static FALLIBLE ask_for_paths(struct service *s, const struct container *c, char *const *paths, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++)
        if (!hidden_path_is_kernels(paths[i]) && !desk_ask_rules(s, c, "HidePath", &(struct desk_fact){ "path", paths[i] }, 1, err))
            return false;
    return true;
}

static FALLIBLE ask_for_sysctls(struct service *s, const struct container *c, const struct pod_sysctls *sysctls, struct err *err)
{
    for (size_t i = 0; i < sysctls->n; i++) {
        struct desk_fact facts[] = { { "name", sysctls->rows[i].name }, { "value", sysctls->rows[i].value } };

        if (!sysctl_is_usual(&sysctls->rows[i]) && !desk_ask_rules(s, c, "SetSysctl", facts, 2, err))
            return false;
    }
    return true;
}

FALLIBLE wishes_ask_rules(struct service *s, const struct container *c, const Agent__CreateContainerRequest *asked, const struct wishes *wishes,
                          struct err *err)
{
    return (!asked->share_processes || desk_ask_rules(s, c, "ShareProcesses", NULL, 0, err)) &&
           ask_for_paths(s, c, wishes->hidden.masked, wishes->hidden.n_masked, err) &&
           ask_for_paths(s, c, wishes->hidden.readonly, wishes->hidden.n_readonly, err) && ask_for_sysctls(s, c, &wishes->sysctls, err);
}
