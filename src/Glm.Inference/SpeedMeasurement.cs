using System.Diagnostics;
using Glm.Models;

namespace Glm.Inference;

/// <summary>What a measurement of speed runs.</summary>
public sealed record SpeedOptions
{
    /// <summary>Tokens of the prompt.</summary>
    public int Prompt { get; init; } = 512;

    /// <summary>Tokens generated after it, by each sequence.</summary>
    public int Generate { get; init; } = 64;

    /// <summary>Sequences that are decoded together.</summary>
    public int Batch { get; init; } = 1;

    /// <summary>Runs, of which the median counts.</summary>
    public int Runs { get; init; } = 3;
}

/// <summary>Medians of the runs.</summary>
/// <param name="PromptTokensPerSecond">Prompt tokens of all sequences per second; the sequences' prompts go in one after another.</param>
/// <param name="GeneratedTokensPerSecond">Generated tokens of all sequences per second.</param>
public sealed record Speed(double PromptTokensPerSecond, double GeneratedTokensPerSecond);

/// <summary>
/// Times a model as llama-bench does: a prompt of fixed tokens, then tokens one by one, always the most probable one. All sequences have the same prompt, but
/// share nothing.
/// </summary>
public static class SpeedMeasurement
{
    private const int FirstGenerated = 301;
    private const int WarmUpTokens = 16, WarmUpSteps = 2;

    /// <summary>Token i of the prompt.</summary>
    public static int PromptToken(int i) => 300 + (int)(i * 7919L % 200);

    /// <summary>Runs a short prompt that is not counted, which compiles the code and brings the weights into memory; then measures.</summary>
    /// <param name="session">Where to compute; its cache ends as it was.</param>
    /// <param name="options">What to run.</param>
    /// <param name="progress">Told what runs next.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="GlmException">Prompt and generated tokens do not fit into the model.</exception>
    public static Speed Run(Session session, SpeedOptions options, IProgress<string>? progress = null, CancellationToken cancellation = default)
    {
        int longest = session.Model.MaxSequenceLength;
        if ((long)options.Prompt + options.Generate > longest)
            throw new GlmException($"prompt and generated tokens: expected at most the model's {longest} together, found {options.Prompt} + {options.Generate}");
        progress?.Report("warming up");
        Once(session, options with { Prompt = Math.Min(options.Prompt, WarmUpTokens), Generate = Math.Min(options.Generate, WarmUpSteps) }, cancellation);
        double[] prompt = new double[options.Runs], generate = new double[options.Runs];
        for (int run = 0; run < options.Runs; run++)
        {
            progress?.Report($"run {run + 1} of {options.Runs}");
            (prompt[run], generate[run]) = Once(session, options, cancellation);
        }
        return new Speed(Median(prompt), Median(generate));
    }

    /// <summary>Prompt tokens per second where prompts of 512 tokens, or as long as the model takes, are read together; the better of two passes.</summary>
    /// <param name="session">Where to compute; its cache ends as it was.</param>
    /// <param name="tokens">Tokens of a pass, roughly.</param>
    /// <param name="cancellation">Ends it.</param>
    public static double Reading(Session session, int tokens, CancellationToken cancellation = default)
    {
        int length = Math.Min(512, session.Model.MaxSequenceLength), count = Math.Max(1, tokens / length);
        double best = 0;
        for (int run = 0; run < 2; run++)
        {
            SessionInput[] inputs = [.. Enumerable.Range(0, count).Select(_ => Prompt(session, session.Cache.Add(), length))];
            try
            {
                long start = Stopwatch.GetTimestamp();
                session.Run(inputs, cancellation: cancellation);
                best = Math.Max(best, count * length / Stopwatch.GetElapsedTime(start).TotalSeconds);
            }
            finally
            {
                foreach (var input in inputs) input.Sequence.Release();
            }
        }
        return best;
    }

    private static SessionInput Prompt(Session session, KvCache.Sequence sequence, int length)
    {
        int[] ids = [.. Enumerable.Range(0, length).Select(i => PromptToken(i) % session.Model.VocabSize)], positions = [.. Enumerable.Range(0, length)];
        // Where a model counts inside the blank, positions do not matter to its speed.
        return new SessionInput(sequence, ids, positions, session.Model.IsCausal ? 0 : length, session.Model.PositionAxes == 2 ? new int[length] : default);
    }

    private static (double Prompt, double Generated) Once(Session session, SpeedOptions options, CancellationToken cancellation)
    {
        int vocabulary = session.Model.VocabSize, length = options.Prompt;
        KvCache.Sequence[] sequences = [.. Enumerable.Range(0, options.Batch).Select(_ => session.Cache.Add())];
        var prompts = sequences.Select(sequence => Prompt(session, sequence, length)).ToList();
        try
        {
            long start = Stopwatch.GetTimestamp();
            foreach (var prompt in prompts) session.Run([prompt], cancellation: cancellation);
            double promptTime = Stopwatch.GetElapsedTime(start).TotalSeconds;
            int[] next = [.. Enumerable.Repeat(FirstGenerated % vocabulary, options.Batch)];
            start = Stopwatch.GetTimestamp();
            for (int step = 0; step < options.Generate; step++)
            {
                int[] position = [length + step];
                var logits = session.Run([.. prompts.Select((prompt, i) => prompt with { Ids = next.AsMemory(i, 1), Positions = position, Blocks = prompt.Blocks[..Math.Min(1, prompt.Blocks.Length)] })], cancellation: cancellation);
                for (int i = 0; i < next.Length; i++) next[i] = LogitMath.ArgMax(logits.Slice(i * vocabulary, vocabulary));
            }
            double generateTime = Stopwatch.GetElapsedTime(start).TotalSeconds;
            return ((double)options.Batch * length / promptTime, (double)options.Batch * options.Generate / generateTime);
        }
        finally
        {
            foreach (var sequence in sequences) sequence.Release();
        }
    }

    private static double Median(double[] values)
    {
        Array.Sort(values);
        return values[values.Length / 2];
    }
}
