/*
 * Whom a container runs as: the image's "User" looked up in the image's own passwd and group files.
 * [OCI-IMAGE config, User; shadow(5) formats]
 */
#pragma once

#include <sys/types.h>

#include "base/bytes.h"
#include "guest/container/limits.h"

enum { USER_HOME_MAX = 255 };

struct user {
    uint32_t uid, gid;
    uint32_t groups[USER_GROUPS_MAX]; /* supplementary, without gid */
    size_t   n_groups;
    char     home[USER_HOME_MAX + 1]; /* "/" when passwd does not say */
};

/*
 *   wanted   "", "uid", "name", each with ":gid" or ":group" behind it or not
 *   passwd   text of etc/passwd, as the image has it; lines that break the format are passed over
 *   group    text of etc/group, likewise
 *
 * As other runtimes do: "" is root; a number that is not in passwd is taken as it is, with group 0; supplementary
 * groups are those that list the user's name, and none when the group was named.
 *
 * Fails NOT_FOUND for a name that is in no file, MALFORMED, LIMIT.
 */
FALLIBLE user_find(const char *wanted, struct bytes passwd, struct bytes group, struct user *out, struct err *err);

/* Reads both files below `root_fd`, never leaving it; missing ones are empty. Fails as user_find, and OS. */
FALLIBLE user_find_in(int root_fd, const char *wanted, struct user *out, struct err *err);
