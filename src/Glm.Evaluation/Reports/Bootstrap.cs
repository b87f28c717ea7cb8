namespace Glm.Evaluation;

/// <summary>Between what a number lies, at 95 % confidence.</summary>
public readonly record struct Interval(double Low, double High);

/// <summary>
/// How far a number over items would move had other items of the same kind been asked: it is computed again over items drawn from the same ones with
/// replacement (Efron's bootstrap, percentiles). Items that were not drawn independently are drawn together. Same seed, same interval.
/// </summary>
public static class Bootstrap
{
    /// <summary>Times that items are drawn.</summary>
    public const int Resamples = 1000;

    private const double Outside = 0.025;

    /// <summary>The number over each resample.</summary>
    /// <param name="items">The items, at least one.</param>
    /// <param name="cluster">Items with the same value are drawn together.</param>
    /// <param name="statistic">The number; must be safe to call from several threads.</param>
    /// <param name="seed">Key of the draws.</param>
    /// <param name="cancellation">Ends it.</param>
    public static double[] Replicates<TKey>(
        IReadOnlyList<ItemResult> items, Func<ItemResult, TKey> cluster, Func<IReadOnlyList<ItemResult>, double> statistic, ulong seed,
        CancellationToken cancellation = default) where TKey : notnull
    {
        ItemResult[][] clusters = [.. items.GroupBy(cluster).Select(group => group.ToArray())];
        double[] replicates = new double[Resamples];
        Parallel.For(0, Resamples, new ParallelOptions { CancellationToken = cancellation }, resample =>
        {
            var random = new CounterRandom(seed, (ulong)resample);
            var drawn = new List<ItemResult>(items.Count);
            for (int i = 0; i < clusters.Length; i++) drawn.AddRange(clusters[random.NextInt(clusters.Length)]);
            replicates[resample] = statistic(drawn);
        });
        return replicates;
    }

    /// <summary>
    /// What the middle 95 % of replicates span; null where all are the same, since the bootstrap knows nothing of what it never saw (no item right).
    /// </summary>
    public static Interval? Interval(IEnumerable<double> replicates)
    {
        double[] sorted = [.. replicates.Where(double.IsFinite).Order()];
        if (sorted.Length < 2 || sorted[0] == sorted[^1]) return null;
        return new Interval(Quantile(sorted, Outside), Quantile(sorted, 1 - Outside));
    }

    private static double Quantile(double[] sorted, double share)
    {
        double place = share * (sorted.Length - 1);
        int below = (int)place, above = Math.Min(below + 1, sorted.Length - 1);
        return sorted[below] + ((place - below) * (sorted[above] - sorted[below]));
    }
}
