/** What must hold: DESIGN's invariants, each a function whose name says what it is. It answers what is broken, or `null`. */
import type { Commit, World } from '../world.ts';
import { accountsHaveOneIntent, absentStaysAbsent, endedMeansReadBack, keptSecretsFit, liveAccountsStand, strangersAreSwept } from './accounts.ts';
import { activationIsPermitted, decisionsHold, nobodyDisabledHolds } from './decisions.ts';
import { changesAreLogged, theLogHoldsNoSecret } from './entries.ts';
import { deadlinesMoveByDecision, nothingNewWithoutKeys, quotasHold, sessionsLieWithinGrants, statesMoveForward } from './moves.ts';
import { observe } from './observe.ts';
import { everySessionIsRecorded, noLiveSessionCountsAsEnded, policyEndsSessions, sessionsEndInTime } from './sessions.ts';
import { overdueIsTold, privilegesEndInTime, removalIsNeverGivenUp } from './removals.ts';

/** Looked at in each commit. */
export const COMMIT_INVARIANTS: readonly ((world: World, commit: Commit) => string | null)[] = [
  statesMoveForward, quotasHold, changesAreLogged, theLogHoldsNoSecret, decisionsHold, activationIsPermitted, deadlinesMoveByDecision, sessionsLieWithinGrants, nothingNewWithoutKeys, endedMeansReadBack,
];

/** Looked at after every event that changed something, and once a second. */
export const STANDING_INVARIANTS: readonly ((world: World) => string | null)[] = [
  observe, privilegesEndInTime, removalIsNeverGivenUp, overdueIsTold, accountsHaveOneIntent, absentStaysAbsent, strangersAreSwept, liveAccountsStand, keptSecretsFit, nobodyDisabledHolds,
  sessionsEndInTime, policyEndsSessions, noLiveSessionCountsAsEnded, everySessionIsRecorded,
];
