namespace Glm.Training;

/// <summary>The draws that the training objectives need. Training uses <see cref="CounterRandomSource"/>; tests replay recorded draws.</summary>
public abstract class RandomSource
{
    /// <summary>Uniform in [0, 1).</summary>
    public abstract double NextDouble();

    /// <summary>Uniform in [<paramref name="from"/>, <paramref name="to"/>), <paramref name="from"/> included.</summary>
    public abstract int Next(int from, int to);

    /// <summary>An index drawn with probability proportional to its weight, given the running sums of the weights.</summary>
    public abstract int Choose(ReadOnlySpan<double> cumulativeWeights);

    /// <summary>Puts the items into a random order.</summary>
    public abstract void Shuffle<T>(List<T> items);
}

/// <summary>
/// The draws of one sample as a pure function of (seed, sample index): a row is masked the same way whoever builds it, in
/// whatever order, before or after a resumption.
/// </summary>
public sealed class CounterRandomSource : RandomSource
{
    private const ulong MaskDomain = 0x6D61736B; // keeps these draws apart from others of the same seed

    private readonly CounterRandom _random;

    /// <summary>The draws of sample <paramref name="sampleIndex"/>.</summary>
    public CounterRandomSource(ulong seed, long sampleIndex) => _random = new CounterRandom(seed ^ MaskDomain, (ulong)sampleIndex);

    /// <inheritdoc/>
    public override double NextDouble() => _random.NextDouble();

    /// <inheritdoc/>
    public override int Next(int from, int to) => from + _random.NextInt(to - from);

    /// <inheritdoc/>
    public override int Choose(ReadOnlySpan<double> cumulativeWeights)
    {
        double point = _random.NextDouble() * cumulativeWeights[^1];
        int index = 0;
        while (index < cumulativeWeights.Length - 1 && cumulativeWeights[index] <= point) index++;
        return index;
    }

    /// <inheritdoc/>
    public override void Shuffle<T>(List<T> items)
    {
        for (int i = items.Count - 1; i > 0; i--)
        {
            int j = _random.NextInt(i + 1);
            (items[i], items[j]) = (items[j], items[i]);
        }
    }
}
