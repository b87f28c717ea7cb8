namespace Glm.Inference;

/// <summary>What a <see cref="GenerationEngine"/> has done and is doing.</summary>
/// <param name="Waiting">Requests in the queue.</param>
/// <param name="Running">Requests in the batch.</param>
/// <param name="Steps">Passes through the model.</param>
/// <param name="ContextTokens">Tokens of contexts that were computed.</param>
/// <param name="SharedTokens">Tokens of contexts whose keys and values were there already.</param>
/// <param name="NewTokens">Tokens that were generated.</param>
/// <param name="DraftedTokens">Tokens that were guessed.</param>
/// <param name="AcceptedTokens">Of them, those that came true.</param>
/// <param name="Finished">Requests that ended with a result.</param>
/// <param name="Cancelled">Requests whose callers went away.</param>
/// <param name="Failed">Requests that ended with an error.</param>
/// <param name="Refused">Requests for which there was no room in the queue.</param>
/// <param name="Preempted">Times that a request gave its memory to others and began again.</param>
/// <param name="UsedPages">Pages of keys and values in use, those kept for later requests included.</param>
/// <param name="TotalPages">Pages that there may be.</param>
/// <param name="Busy">Time that was spent computing.</param>
public sealed record EngineStatistics(
    int Waiting, int Running, long Steps, long ContextTokens, long SharedTokens, long NewTokens, long DraftedTokens, long AcceptedTokens, long Finished, long Cancelled, long Failed,
    long Refused, long Preempted, int UsedPages, int TotalPages, TimeSpan Busy);
