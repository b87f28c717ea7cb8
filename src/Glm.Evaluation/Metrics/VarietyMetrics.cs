namespace Glm.Evaluation;

/// <summary>
/// How varied generated texts are, in percent of each text: distinct runs of 1, 2 and 3 words (characters of scripts without spaces) among all of them, and words
/// in runs of four that occur more than once. With the suffix <c>_text</c>, the same of as many words of the target, to compare with.
/// </summary>
internal static class VarietyMetrics
{
    private const string TargetSuffix = "_text", Repetition = "repetition";
    private const int RepeatedRun = 4;

    public static string[] Names { get; } = [.. from name in new[] { "distinct_1", "distinct_2", "distinct_3", Repetition } from suffix in new[] { "", TargetSuffix } select name + suffix];

    public static double Of(string metric, string answer, string target)
    {
        string[] words = TextUnits.Words(answer);
        bool ofTarget = metric.EndsWith(TargetSuffix, StringComparison.Ordinal);
        if (ofTarget) words = [.. TextUnits.Words(target).Take(words.Length)];
        return metric.StartsWith(Repetition, StringComparison.Ordinal) ? TextUnits.Repeated(words, RepeatedRun) : TextUnits.Distinct(words, metric["distinct_".Length] - '0');
    }
}
