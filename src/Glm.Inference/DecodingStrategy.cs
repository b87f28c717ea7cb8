namespace Glm.Inference;

/// <summary>How a beam goes on.</summary>
/// <param name="Parent">The beam of the step before.</param>
/// <param name="Token">The token that follows it.</param>
public readonly record struct BeamStep(int Parent, int Token);

/// <summary>A way to continue a context.</summary>
/// <param name="Ids">The context and what was generated, a final end token included.</param>
/// <param name="Score">How good it is; beams are ordered by it. 0 for samples.</param>
public sealed record Candidate(int[] Ids, double Score);

/// <summary>Chooses tokens from logits: begins with a context, takes steps until it is done or there is no more room, and gives the candidates.</summary>
public abstract class DecodingStrategy
{
    /// <summary>Begins with a context, of which there is one beam.</summary>
    public abstract void Begin(ReadOnlySpan<int> context);

    /// <summary>Most beams that it ever has.</summary>
    public virtual int MaxBeams => 1;

    /// <summary>Whether no step can improve the result.</summary>
    public abstract bool Done { get; }

    /// <summary>Chooses the next token of every beam.</summary>
    /// <param name="logits">Logits after each beam <c>[beams, vocabulary]</c>, which are overwritten.</param>
    /// <param name="vocabulary">Number of tokens.</param>
    /// <returns>The beams from now on; valid until the next step.</returns>
    public abstract IReadOnlyList<BeamStep> Step(Span<float> logits, int vocabulary);

    /// <summary>The candidates, best first.</summary>
    public abstract IReadOnlyList<Candidate> Finish();
}
