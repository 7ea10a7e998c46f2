#include "guest/container/user.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/auto.h"
#include "base/file.h"

enum { PASSWD_FIELDS = 7, GROUP_FIELDS = 4 };

/* Cuts the front of `rest` up to `separator` and drops the separator; false when nothing is left. */
static bool next_part(struct bytes *rest, char separator, struct bytes *part)
{
    if (!rest->at)
        return false;
    const uint8_t *end = rest->len ? memchr(rest->at, separator, rest->len) : NULL;
    size_t         len = end ? (size_t) (end - rest->at) : rest->len;

    *part = (struct bytes){ rest->at, len };
    *rest = end ? (struct bytes){ end + 1, rest->len - len - 1 } : (struct bytes){ 0 };
    return true;
}

/* Exactly `n` fields, colon between them. */
static bool split(struct bytes line, size_t n, struct bytes *fields)
{
    for (size_t i = 0; i < n; i++)
        if (!next_part(&line, ':', &fields[i]))
            return false;
    return line.at == NULL;
}

/* Decimal, no sign, and not the number that means "no one". */
static bool read_number(struct bytes text, uint32_t *out)
{
    uint64_t value = 0;

    if (text.len == 0 || text.len > 10)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        value = value * 10 + (uint64_t) (text.at[i] - '0');
    }
    if (value >= UINT32_MAX)
        return false;
    *out = (uint32_t) value;
    return true;
}

struct passwd_line { struct bytes name, home; uint32_t uid, gid; };
struct group_line { struct bytes name, members; uint32_t gid; };

static bool read_passwd(struct bytes line, struct passwd_line *out)
{
    struct bytes f[PASSWD_FIELDS];

    if (!split(line, PASSWD_FIELDS, f) || f[0].len == 0 || !read_number(f[2], &out->uid) || !read_number(f[3], &out->gid))
        return false;
    out->name = f[0];
    out->home = f[5];
    return true;
}

static bool read_group(struct bytes line, struct group_line *out)
{
    struct bytes f[GROUP_FIELDS];

    if (!split(line, GROUP_FIELDS, f) || f[0].len == 0 || !read_number(f[2], &out->gid))
        return false;
    out->name    = f[0];
    out->members = f[3];
    return true;
}

static bool find_passwd(struct bytes passwd, struct bytes wanted, bool is_number, uint32_t uid, struct passwd_line *out)
{
    struct bytes line;

    while (next_part(&passwd, '\n', &line))
        if (read_passwd(line, out) && (bytes_equal(out->name, wanted) || (is_number && out->uid == uid)))
            return true;
    return false;
}

static FALLIBLE find_group(struct bytes group, struct bytes wanted, uint32_t *gid, struct err *err)
{
    struct group_line found;
    struct bytes      line;

    if (read_number(wanted, gid))
        return true;
    while (next_part(&group, '\n', &line))
        if (read_group(line, &found) && bytes_equal(found.name, wanted)) {
            *gid = found.gid;
            return true;
        }
    return fail_with(err, ERR_NOT_FOUND, "the image has no group \"%.*s\"", (int) wanted.len, (const char *) wanted.at);
}

static bool has_member(struct bytes members, struct bytes name)
{
    struct bytes member;

    while (next_part(&members, ',', &member))
        if (bytes_equal(member, name))
            return true;
    return false;
}

static FALLIBLE add_groups(struct bytes group, struct bytes name, struct user *user, struct err *err)
{
    struct group_line found;
    struct bytes      line;

    while (next_part(&group, '\n', &line)) {
        if (!read_group(line, &found) || found.gid == user->gid || !has_member(found.members, name))
            continue;
        if (user->n_groups == USER_GROUPS_MAX)
            return fail_with(err, ERR_LIMIT, "the user is in over %d groups", USER_GROUPS_MAX);
        user->groups[user->n_groups++] = found.gid;
    }
    return true;
}

static void set_home(struct user *user, struct bytes home)
{
    bool is_fit = home.len > 0 && home.len <= USER_HOME_MAX && home.at[0] == '/' && !memchr(home.at, 0, home.len);

    if (!is_fit)
        return;
    memcpy(user->home, home.at, home.len);
    user->home[home.len] = 0;
}

FALLIBLE user_find(const char *wanted, struct bytes passwd, struct bytes group, struct user *out, struct err *err)
{
    struct user        user      = { .home = "/" };
    struct bytes       rest      = bytes_of_text(*wanted ? wanted : "0");
    struct bytes       who       = { 0 }, which = { 0 };
    struct passwd_line line      = { 0 };

    (void) next_part(&rest, ':', &who); /* there is always a first part */
    bool has_group = next_part(&rest, ':', &which);
    if (rest.at || who.len == 0 || (has_group && which.len == 0))
        return fail_with(err, ERR_MALFORMED, "user \"%s\": wanted user or user:group", wanted);

    bool is_number = read_number(who, &user.uid);
    bool is_known  = find_passwd(passwd, who, is_number, user.uid, &line);
    if (!is_known && !is_number)
        return fail_with(err, ERR_NOT_FOUND, "the image has no user \"%.*s\"", (int) who.len, (const char *) who.at);
    if (is_known) {
        user.uid = line.uid;
        user.gid = line.gid;
        set_home(&user, line.home);
    }
    if (has_group && !find_group(group, which, &user.gid, err))
        return false;
    if (is_known && !has_group && !add_groups(group, line.name, &user, err))
        return false;
    *out = user;
    return true;
}

/* Symbolic links are followed inside the root only; what is no plain file is not read. */
static FALLIBLE read_below(int root_fd, const char *path, struct buffer *out, struct err *err)
{
    struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
    AUTO(fd) int    fd  = (int) syscall(SYS_openat2, root_fd, path, &how, sizeof how);
    struct stat     about;

    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == ELOOP || err_os(err, "%s", path);
    if (fstat(fd, &about) < 0)
        return err_os(err, "%s", path);
    if (!S_ISREG(about.st_mode))
        return fail_with(err, ERR_MALFORMED, "%s: not a plain file", path);
    return file_read_fd(fd, USER_FILE_MAX, out, err) || context(err, path);
}

FALLIBLE user_find_in(int root_fd, const char *wanted, struct user *out, struct err *err)
{
    AUTO(buffer) struct buffer passwd = { 0 }, group = { 0 };

    return read_below(root_fd, "etc/passwd", &passwd, err) && read_below(root_fd, "etc/group", &group, err) &&
           user_find(wanted, buffer_bytes(&passwd), buffer_bytes(&group), out, err);
}
