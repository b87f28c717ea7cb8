using System.Text;
using System.Text.Json.Nodes;

namespace Glm.Evaluation;

/// <summary>Items in the original's form (spec 8.2): ids, or texts in fields with the suffix <c>_pretokenized</c>.</summary>
internal static class OriginalItems
{
    private const string TextSuffix = "_pretokenized";

    public static TaskItem Read(DataRecord record, TaskDefinition task)
    {
        var fields = record.Fields!;
        if (task.Kind == TaskKind.LanguageModeling) return Text(fields, task);
        var item = new TaskItem { Prompt = One(fields, "inputs"), Id = Field(fields, "ID") ?? Field(fields, "pair_ID"), Category = Field(fields, "bias_type"), Cluster = Field(fields, "pair_ID") };
        if (task.Kind == TaskKind.Generation)
        {
            var targets = Several(fields, "targets");
            return item with { Effort = ItemBuilder.Effort(task), Targets = [.. targets.Select(target => target.Text ?? throw new GlmException("targets: expected texts (targets_pretokenized), found ids"))] };
        }
        var choices = Several(fields, "choices");
        if (task.Module == OriginalModule.StereoSet && fields["goal_label"] is JsonArray goals) return item with { Choices = ByGoal(choices, goals) };
        string? label = task.Module == OriginalModule.CrowsPairs && Field(fields, "sent_ID") is { } sentence ? (int.TryParse(sentence, out int number) ? number - 1 : -1).ToString() : Field(fields, "label");
        int most = task.Module == OriginalModule.CrowsPairs ? 2 : choices.Count;
        if (!int.TryParse(label, out int index) || index < 0 || index >= most) throw new GlmException($"label: expected 0 to {most - 1}, found {label ?? "none"}");
        return item with { Choices = choices, Label = index };
    }

    /// <summary>A text to be read: words and bytes are those of the text, whatever the ids.</summary>
    public static TaskItem Text(JsonObject fields, TaskDefinition task)
    {
        string? text = fields["text" + TextSuffix] is { } pretokenized ? Template.Text(pretokenized) : fields["text"] is JsonValue value ? Template.Text(value) : null;
        if (string.IsNullOrWhiteSpace(text)) throw new GlmException("expected some text in the field text or text_pretokenized, found none");
        return new TaskItem
        {
            Prompt = fields["text"] is JsonArray ids ? Ids(ids, "text") : text,
            Words = text.Trim().Split(' ').Length,
            Bytes = Encoding.UTF8.GetByteCount(text),
            Category = task.Category is { } category ? category.Text(fields) : task.Module == OriginalModule.Pile && fields["meta"] is JsonObject meta ? Field(meta, "pile_set_name") : null,
        };
    }

    /// <summary>Stereotype, anti-stereotype, unrelated: the order that the metrics count on.</summary>
    private static List<ItemText> ByGoal(IReadOnlyList<ItemText> choices, JsonArray goals)
    {
        string[] order = ["stereotype", "anti-stereotype", "unrelated"];
        var labels = goals.Select(Template.Text).ToList();
        if (choices.Count != 3 || !order.All(labels.Contains)) throw new GlmException($"goal_label: expected {string.Join(", ", order)}, found {string.Join(", ", labels)}");
        return [.. order.Select(goal => choices[labels.IndexOf(goal)])];
    }

    private static ItemText One(JsonObject fields, string name) =>
        fields[name + TextSuffix] is { } text ? Template.Text(text) : fields[name] is JsonArray ids ? Ids(ids, name) : throw new GlmException($"expected a field {name}{TextSuffix} with text, or {name} with ids, found neither");

    private static List<ItemText> Several(JsonObject fields, string name)
    {
        List<ItemText> texts = fields[name + TextSuffix] switch
        {
            JsonArray list => [.. list.Select(text => (ItemText)Template.Text(text))],
            { } single => [Template.Text(single)],
            null => fields[name] is JsonArray lists ? [.. lists.Select(ids => Ids(ids as JsonArray ?? throw new GlmException($"{name}: expected lists of ids, found something else"), name))]
                : throw new GlmException($"expected a field {name}{TextSuffix} with texts, or {name} with ids, found neither"),
        };
        return texts.Count > 0 ? texts : throw new GlmException($"{name}: expected at least one, found none");
    }

    private static ItemText Ids(JsonArray ids, string name) =>
        (int[])[.. ids.Select(id => id is JsonValue value && value.TryGetValue(out int number) && number >= 0 ? number : throw new GlmException($"{name}: expected ids, found {Template.Text(id)}"))];

    private static string? Field(JsonObject fields, string name) => fields[name] is { } node ? Template.Text(node) : null;
}
