/*
 * What a policy's entry says of the rights of a container's processes, beside their user: members of policy.json that
 * only take away, or name numbers of the owner's.
 *
 *   capabilities   ["CAP_..."]: all that root has; each must be one that it has by default. Missing: those
 *   groups         [1234]: more groups of every process, as supplementalGroups and fsGroup of a pod
 *   not_root       true: a container whose user is root does not start, as runAsNonRoot of a pod
 */
#pragma once

#include "base/json.h"
#include "guest/container/user.h"

struct privileges {
    struct json_object *capabilities; /* NULL: the default ones; borrowed from the policy, with the next */
    struct json_object *groups;       /* NULL: none */
    bool                not_root;
};

/* Of a policy's entry as it is read. Fails MALFORMED, LIMIT. */
FALLIBLE          privileges_check(struct json_object *entry, struct err *err);
struct privileges privileges_of(struct json_object *entry); /* one that was checked */

/* Adds the groups. Fails DENIED for root where it may not be, LIMIT. */
FALLIBLE privileges_apply(const struct privileges *privileges, struct user *user, struct err *err);

/* An array of their names, yours. */
struct json_object *privileges_capabilities(const struct privileges *privileges);
