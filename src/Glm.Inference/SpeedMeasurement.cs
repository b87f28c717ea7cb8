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

    private static (double Prompt, double Generated) Once(Session session, SpeedOptions options, CancellationToken cancellation)
    {
        int vocabulary = session.Model.VocabSize, length = options.Prompt;
        int[] ids = [.. Enumerable.Range(0, length).Select(i => PromptToken(i) % vocabulary)], positions = [.. Enumerable.Range(0, length)];
        int division = session.Model.IsCausal ? 0 : length;
        // Where a model counts inside the blank, positions do not matter to its speed.
        int[] blocks = session.Model.PositionAxes == 2 ? new int[length] : [];
        KvCache.Sequence[] sequences = [.. Enumerable.Range(0, options.Batch).Select(_ => session.Cache.Add())];
        try
        {
            long start = Stopwatch.GetTimestamp();
            foreach (var sequence in sequences) session.Run([new SessionInput(sequence, ids, positions, division, blocks)], cancellation: cancellation);
            double promptTime = Stopwatch.GetElapsedTime(start).TotalSeconds;
            int[] next = [.. Enumerable.Repeat(FirstGenerated % vocabulary, options.Batch)];
            start = Stopwatch.GetTimestamp();
            for (int step = 0; step < options.Generate; step++)
            {
                int[] position = [length + step];
                var logits = session.Run([.. sequences.Select((sequence, i) => new SessionInput(sequence, next.AsMemory(i, 1), position, division, blocks.AsMemory(0, Math.Min(1, blocks.Length))))], cancellation: cancellation);
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
