#include "guest/container/policy_volumes.h"

#include <string.h>

#include "base/ossl.h"
#include "base/text.h"

/* ---- what an entry may say ---- */

static FALLIBLE check_volume(struct json_object *file, struct err *err)
{
    const char *path;

    if (json_has(file, "path") || json_has(file, "sha256"))
        return fail_with(err, ERR_MALFORMED, "directory: stands alone, or with update");
    return json_get_text(file, "directory", &path, err) && volume_path_check(path, err) && policy_check_flag(file, "update", err);
}

FALLIBLE policy_check_file(struct json_object *file, struct err *err)
{
    static const char *const known[] = { "path", "sha256", "directory", "update", NULL };
    const char              *path, *digest;

    if (!json_only(file, known, err))
        return false;
    if (json_has(file, "directory"))
        return check_volume(file, err);
    if (json_has(file, "update"))
        return fail_with(err, ERR_MALFORMED, "update: stands with a directory");
    if (!json_get_text(file, "path", &path, err) || !volume_path_check(path, err))
        return false;
    if (!json_object_object_get_ex(file, "sha256", NULL))
        return true;
    if (!json_get_text(file, "sha256", &digest, err))
        return false;
    return (strlen(digest) == 64 && strspn(digest, "0123456789abcdef") == 64) ||
           fail_with(err, ERR_MALFORMED, "sha256: wanted 64 hex digits");
}

FALLIBLE policy_check_directory(struct json_object *directory, struct err *err)
{
    static const char *const known[] = { "path", "volume", "read_only", "size", "sub_path", NULL };
    struct json_object      *size    = NULL;
    const char              *path, *volume, *sub;

    if (!json_only(directory, known, err) || !json_get_text(directory, "path", &path, err) ||
        !volume_directory_path_check(path, err) || !json_get_text(directory, "volume", &volume, err) ||
        !volume_name_check(volume, err) || !policy_check_flag(directory, "read_only", err))
        return false;
    if (json_has(directory, "sub_path") && (!json_get_text(directory, "sub_path", &sub, err) || !volume_below_check(sub, err)))
        return false;
    if (!json_has(directory, "size"))
        return true;
    return json_get(directory, "size", json_type_int, &size, err) &&
           (json_object_get_int64(size) > 0 || fail_with(err, ERR_MALFORMED, "size: wanted a number of bytes above 0"));
}

FALLIBLE policy_check_termination_log(struct json_object *entry, struct err *err)
{
    const char *path;

    return !json_has(entry, "termination_log") ||
           (json_get_text(entry, "termination_log", &path, err) && (termination_path_check(path, err) || context(err, "termination_log")));
}

/* ---- and what a request may ask then ---- */

static const char *member_text(struct json_object *of, const char *name)
{
    return json_object_get_string(json_object_object_get(of, name));
}

static bool same(const char *wanted, const char *asked)
{
    return strcmp(wanted ? wanted : "", asked ? asked : "") == 0;
}

static bool file_matches(struct json_object *row, const struct volume_file *file)
{
    const char *path = member_text(row, "path"), *wanted = member_text(row, "sha256");
    uint8_t     digest[SHA256_LEN], listed[SHA256_LEN];
    struct err  no_hex;

    if (!path || strcmp(path, file->path) != 0)
        return false;
    sha256_of(file->content, digest);
    return !wanted || (hex_read_exact(wanted, listed, sizeof listed, &no_hex) && memcmp(listed, digest, sizeof digest) == 0);
}

static bool tree_matches(struct json_object *row, const struct volume_tree *tree)
{
    const char *directory = member_text(row, "directory");

    return directory && strcmp(directory, tree->path) == 0;
}

static bool directory_matches(struct json_object *row, const struct volume_directory *directory)
{
    return same(member_text(row, "path"), directory->path) && same(member_text(row, "volume"), directory->volume) &&
           same(member_text(row, "sub_path"), directory->sub_path) &&
           json_object_get_boolean(json_object_object_get(row, "read_only")) == directory->read_only;
}

/* Of `list` any row, for each of the request's; `of` is an array in `v`. */
#define FIRST_UNLISTED(list, of, n, matches, out)                                                   \
    for (size_t i_ = 0; i_ < (n); i_++) {                                                           \
        bool is_listed_ = false;                                                                    \
        for (size_t k_ = 0; (list) && k_ < json_object_array_length(list) && !is_listed_; k_++)     \
            is_listed_ = matches(json_object_array_get_idx(list, k_), &(of)[i_]);                   \
        if (!is_listed_ && !(out))                                                                  \
            (out) = (of)[i_].path;                                                                  \
    }

static const char *first_missing_file(struct json_object *files, const struct volumes *v)
{
    for (size_t i = 0; files && i < json_object_array_length(files); i++) {
        struct json_object *row     = json_object_array_get_idx(files, i);
        bool                is_here = !member_text(row, "sha256");

        for (size_t k = 0; k < v->n_files && !is_here; k++)
            is_here = file_matches(row, &v->files[k]);
        if (!is_here)
            return member_text(row, "path");
    }
    return NULL;
}

static const char *first_missing_directory(struct json_object *list, const struct volumes *v)
{
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        struct json_object *row     = json_object_array_get_idx(list, i);
        bool                is_here = false;

        for (size_t k = 0; k < v->n_directories && !is_here; k++)
            is_here = directory_matches(row, &v->directories[k]);
        if (!is_here)
            return member_text(row, "path");
    }
    return NULL;
}

/* Where nothing is listed a container may have its log in the usual place, and the host does not get to read it. */
static bool log_is_listed(struct json_object *entry, const char *asked)
{
    const char *listed = member_text(entry, "termination_log");

    return !asked || !*asked || strcmp(listed ? listed : TERMINATION_LOG, asked) == 0;
}

const char *policy_volume_difference(struct json_object *entry, const struct volumes *volumes, const char **path, bool *is_missing)
{
    static const struct volumes none  = { .n_files = 0 };
    const struct volumes       *v     = volumes ? volumes : &none;
    struct json_object         *files = json_object_object_get(entry, "files");
    struct json_object         *empty = json_object_object_get(entry, "empty_directories");
    const char                 *file = NULL, *tree = NULL, *directory = NULL;

    FIRST_UNLISTED(files, v->files, v->n_files, file_matches, file)
    FIRST_UNLISTED(files, v->trees, v->n_trees, tree_matches, tree)
    FIRST_UNLISTED(empty, v->directories, v->n_directories, directory_matches, directory)
    *is_missing = false;
    for (size_t i = 0; i < v->n_disks; i++)
        if (!policy_volume(json_object_object_get(entry, "volumes"), &v->disks[i])) {
            *path = v->disks[i].path;
            return "volume";
        }
    if (file || tree || directory) {
        *path = file ? file : tree ? tree : directory;
        return file ? "file" : tree ? "volume of files" : "empty directory";
    }
    if (!log_is_listed(entry, v->termination_log)) {
        *path = v->termination_log;
        return "termination log";
    }
    file        = first_missing_file(files, v);
    directory   = first_missing_directory(empty, v);
    *is_missing = file || directory;
    *path       = file ? file : directory ? directory : "";
    return file ? "file" : directory ? "empty directory" : NULL;
}

FALLIBLE policy_allow_volume_update(const struct policy_grant *grant, const char *path, struct err *err)
{
    for (size_t i = 0; grant->files && i < json_object_array_length(grant->files); i++) {
        struct json_object *row = json_object_array_get_idx(grant->files, i);

        if (tree_matches(row, &(struct volume_tree){ .path = path }) && json_object_get_boolean(json_object_object_get(row, "update")))
            return true;
    }
    return grant->rules_decide || fail_with(err, ERR_DENIED, "policy lets no volume of files at %.120s change", path);
}

void policy_bound_directories(const struct policy_grant *grant, struct volumes *volumes)
{
    for (size_t i = 0; i < volumes->n_directories; i++)
        for (size_t k = 0; grant->empty_directories && k < json_object_array_length(grant->empty_directories); k++) {
            struct json_object *row = json_object_array_get_idx(grant->empty_directories, k);

            if (directory_matches(row, &volumes->directories[i]))
                volumes->directories[i].size = (uint64_t) json_object_get_int64(json_object_object_get(row, "size"));
        }
}
