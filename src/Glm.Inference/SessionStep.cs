using System.Runtime.InteropServices;
using Glm.Distributed;
using Glm.Tensors;

namespace Glm.Inference;

/// <summary>One pass through a model that several processes share, as the first tells it to those that follow: everything is decided there.</summary>
/// <param name="Ids">Tokens of all sequences.</param>
/// <param name="Positions">Their positions.</param>
/// <param name="Blocks">Their positions inside the blank; empty of a model without them.</param>
/// <param name="Rows">After which of them logits are wanted.</param>
/// <param name="Sequences">Where their keys and values lie.</param>
/// <param name="Copied">Pages of keys and values that are copied before.</param>
internal sealed record SessionStep(int[] Ids, int[] Positions, int[] Blocks, int[] Rows, CachedSequence[] Sequences, (int From, int To)[] Copied)
{
    /// <summary>Tells a step, or with null that there are no more.</summary>
    public static void Tell(ProcessGroup ranks, SessionStep? step)
    {
        var numbers = new List<int>();
        if (step is not null)
        {
            foreach (int[] part in new[] { step.Ids, step.Positions, step.Blocks, step.Rows }) Add(part);
            numbers.Add(step.Sequences.Length);
            foreach (var sequence in step.Sequences)
            {
                numbers.AddRange([sequence.Start, sequence.Length, sequence.Past, sequence.Division]);
                Add(sequence.Pages);
            }
            Add([.. step.Copied.SelectMany(copy => new[] { copy.From, copy.To })]);
        }
        ranks.Broadcast(MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(numbers)), root: 0);

        void Add(IReadOnlyList<int> part)
        {
            numbers.Add(part.Count);
            numbers.AddRange(part);
        }
    }

    /// <summary>Waits for what the first process tells; null where there is no more.</summary>
    public static SessionStep? Hear(ProcessGroup ranks)
    {
        int[] numbers = MemoryMarshal.Cast<byte, int>(ranks.Broadcast([], root: 0)).ToArray();
        if (numbers.Length == 0) return null;
        int at = 0;
        int[] ids = Next(), positions = Next(), blocks = Next(), rows = Next();
        var sequences = new CachedSequence[numbers[at++]];
        for (int i = 0; i < sequences.Length; i++)
        {
            at += 4;
            sequences[i] = new CachedSequence(numbers[at - 4], numbers[at - 3], numbers[at - 2], numbers[at - 1], Next());
        }
        int[] copied = Next();
        return new SessionStep(ids, positions, blocks, rows, sequences, [.. copied.Chunk(2).Select(pair => (pair[0], pair[1]))]);

        int[] Next()
        {
            int count = numbers[at++];
            at += count;
            return numbers[(at - count)..at];
        }
    }
}
