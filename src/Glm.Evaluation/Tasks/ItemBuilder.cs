using System.Text.Json.Nodes;

namespace Glm.Evaluation;

/// <summary>Makes items of records by a prompt, with solved examples before them.</summary>
/// <param name="task">The task.</param>
/// <param name="prompt">The prompt.</param>
/// <param name="shots">Examples before each question.</param>
/// <param name="pool">Records that examples are drawn from.</param>
/// <param name="fromItself">Whether the pool is the data itself, of which the question must not be its own example.</param>
internal sealed class ItemBuilder(TaskDefinition task, PromptDefinition prompt, int shots, List<DataRecord> pool, bool fromItself)
{
    private readonly Dictionary<string, string> _examples = [];
    private readonly Dictionary<DataRecord, int> _places = fromItself && shots > 0
        ? pool.Select((record, i) => (record, i)).ToDictionary(entry => entry.record, entry => entry.i, ReferenceEqualityComparer.Instance as IEqualityComparer<DataRecord>) : [];

    /// <summary>The item of a record.</summary>
    /// <exception cref="GlmException">A field is missing, or the label is none of a choice.</exception>
    public TaskItem Build(DataRecord record)
    {
        var fields = record.Fields!;
        var item = new TaskItem
        {
            Prompt = (prompt.Header?.Text(fields) ?? "") + Examples(record) + prompt.Text.Text(fields),
            Id = task.Id?.Text(fields),
            Category = task.Category?.Text(fields),
            Cluster = task.Cluster?.Text(fields),
        };
        if (task.Kind == TaskKind.Generation)
            return item with { Effort = Effort(task), Targets = Targets(fields), Guess = prompt.Guess?.Text(fields), Answers = task.Extraction switch { AnswerExtraction.BestAnswer => Template.Find(fields, "all_answers") is JsonArray answers ? answers.Count : null, AnswerExtraction.Order => 24, _ => null } };
        var choices = Choices(fields);
        var grades = Grades(fields, choices.Count);
        return item with { Choices = [.. choices.Select(choice => (ItemText)choice)], Grades = grades, Label = grades is null ? Label(fields, choices) : grades.IndexOf(grades.Max()) };
    }

    /// <summary>A token takes longer to write than the characters of one to read.</summary>
    internal static long Effort(TaskDefinition task) =>
        20L * task.Generation.MaxNewTokens * (task.Generation.Form == AnswerForm.Word ? LambadaWords.Beams : task.Generation.NumBeams) * (task.Generation.Temperature > 0 ? task.Generation.Samples : 1);

    private List<string> Choices(JsonObject fields)
    {
        List<string> choices = prompt.Choices is [var single] ? [.. single.List(fields)] : [.. prompt.Choices.Select(choice => choice.Text(fields))];
        return choices.Count > 0 ? choices : throw new GlmException("expected choices, found none");
    }

    private List<string> Targets(JsonObject fields)
    {
        List<string> targets = prompt.Targets is [var single] ? [.. single.List(fields)] : [.. prompt.Targets.Select(target => target.Text(fields))];
        return targets.Count > 0 || task.Generation.Temperature > 0 ? targets : throw new GlmException("expected targets, found none");
    }

    private List<double>? Grades(JsonObject fields, int choices)
    {
        if (prompt.Scores is not { } scores) return null;
        List<double> grades = [.. scores.List(fields).Select(score => double.TryParse(score, System.Globalization.CultureInfo.InvariantCulture, out double value) ? value : throw new GlmException($"scores: expected numbers, found {score}"))];
        return grades.Count == choices ? grades : throw new GlmException($"scores: expected {choices}, found {grades.Count}");
    }

    private int? Label(JsonObject fields, List<string> choices)
    {
        if (prompt.RightChoice is { } right)
        {
            string text = right.Text(fields);
            return choices.IndexOf(text) is >= 0 and int at ? at : throw new GlmException($"right-choice: expected one of the {choices.Count} choices, found {text}");
        }
        if (prompt.Label is not { } template) return null;
        string label = template.Text(fields);
        int index = prompt.Labels is { } labels ? labels.ToList().IndexOf(label)
            : int.TryParse(label, out int number) ? number : -1;
        return index >= 0 && index < choices.Count ? index
            : throw new GlmException($"label: expected {(prompt.Labels is { } names ? string.Join(", ", names) : $"0 to {choices.Count - 1}")}, found {label}");
    }

    /// <summary>The examples before a question. Those from a file of their own are the same for all questions that agree in what they are chosen by.</summary>
    private string Examples(DataRecord record)
    {
        if (shots == 0) return "";
        string by = task.ShotBy?.Text(record.Fields!) ?? "";
        if (fromItself) return Examples(by, record);
        if (!_examples.TryGetValue(by, out string? text)) _examples[by] = text = Examples(by, null);
        return text;
    }

    private string Examples(string by, DataRecord? question)
    {
        var candidates = pool.Where(record => record.Fields is { } fields && record != question && (task.ShotBy is null || task.ShotBy.Text(fields) == by)).ToList();
        if (candidates.Count < shots) throw new GlmException($"expected {shots} solved examples{(by.Length > 0 ? $" for {by}" : "")}, found {candidates.Count}");
        if (!task.ShotsInOrder)
        {
            // The first steps of a shuffle whose draws depend on the question alone.
            var random = new CounterRandom((ulong)task.Seed, question is null ? 0 : (ulong)_places[question] + 1);
            for (int i = 0; i < shots; i++)
            {
                int other = i + random.NextInt(candidates.Count - i);
                (candidates[i], candidates[other]) = (candidates[other], candidates[i]);
            }
        }
        return string.Concat(candidates.Take(shots).Select(example => Example(example.Fields!) + task.Separator));
    }

    private string Example(JsonObject fields)
    {
        string text = prompt.Text.Text(fields), answer = prompt.Answer?.Text(fields) ?? Answer(fields);
        foreach (string mask in new[] { "[MASK]", "[gMASK]" })
            if (text.Contains(mask, StringComparison.Ordinal)) return text.Replace(mask, answer, StringComparison.Ordinal);
        var (trimmed, joint) = PromptJoint.Split(text, answer);
        return trimmed + joint + answer;
    }

    private string Answer(JsonObject fields)
    {
        if (task.Kind == TaskKind.Generation) return Targets(fields)[0];
        var choices = Choices(fields);
        var grades = Grades(fields, choices.Count);
        return choices[grades?.IndexOf(grades.Max()) ?? Label(fields, choices) ?? throw new GlmException("label: expected one in a solved example, found none")];
    }
}
