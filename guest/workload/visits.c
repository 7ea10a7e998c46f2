#include "guest/workload/visits.h"

#include <assert.h>

_Static_assert((int) SHARE_QUESTIONS < (int) SHARE_CONNECTIONS, "a connection can be closed for another");

/* The first is for all who have none of their own. */
static struct share *find_share(struct visits *visits, uint64_t cgroup)
{
    struct share *unused = NULL;

    for (size_t i = 1; i < SHARES_MAX && cgroup; i++) {
        struct share *share = &visits->shares[i];

        if (share->first && share->cgroup == cgroup)
            return share;
        if (!share->first && !unused)
            unused = share;
    }
    if (!unused)
        return &visits->shares[0];
    *unused = (struct share){ .cgroup = cgroup };
    return unused;
}

static struct visit *dismiss_oldest(struct share *share)
{
    for (struct visit *v = share->first; v; v = v->next) {
        if (v->has_question || v->is_dismissed)
            continue;
        v->is_dismissed = true;
        share->n_connections--;
        return v;
    }
    return NULL;
}

struct visit *visits_begin(struct visits *visits, uint64_t cgroup, struct visit *visit)
{
    struct share *share = find_share(visits, cgroup);
    struct visit *gone  = share->n_connections >= SHARE_CONNECTIONS ? dismiss_oldest(share) : NULL;

    if (!share->first)
        share->end = &share->first;
    *visit      = (struct visit){ .share = share, .link = share->end };
    *share->end = visit;
    share->end  = &visit->next;
    share->n_connections++;
    return gone;
}

void visits_end(struct visit *visit)
{
    struct share *share = visit->share;

    assert(!visit->has_question);
    *visit->link = visit->next;
    if (visit->next)
        visit->next->link = visit->link;
    else
        share->end = visit->link;
    if (!visit->is_dismissed)
        share->n_connections--;
}

enum visit_turn visits_ask(struct visit *visit)
{
    struct share *share = visit->share;

    if (share->n_questions == SHARE_QUESTIONS)
        return VISIT_TOO_MANY;
    visit->has_question = true;
    share->n_questions++;
    if (share->n_asked < SHARE_ASKED) {
        share->n_asked++;
        return VISIT_NOW;
    }
    if (!share->asking)
        share->asking_end = &share->asking;
    visit->next_asking = NULL;
    *share->asking_end = visit;
    share->asking_end  = &visit->next_asking;
    return VISIT_LATER;
}

struct visit *visits_answered(struct visit *visit)
{
    struct share *share = visit->share;
    struct visit *next  = share->asking;

    visit->has_question = false;
    share->n_questions--;
    if (next)
        share->asking = next->next_asking;
    else
        share->n_asked--;
    return next;
}
