namespace Glm.Evaluation;

/// <summary>What a task asks of a model.</summary>
public enum TaskKind
{
    /// <summary><c>mul</c>: which choice is the most probable.</summary>
    MultipleChoice,

    /// <summary><c>gen</c>: what it writes.</summary>
    Generation,

    /// <summary><c>lm</c>: how probable it finds texts.</summary>
    LanguageModeling,
}

/// <summary>A task: which data, how it becomes prompts, what is measured. Read from YAML (<see cref="TaskFile"/>) with the fields of the original (spec 8.1) and ours.</summary>
public sealed record TaskDefinition
{
    /// <summary>The file it was read from.</summary>
    public required string File { get; init; }

    /// <summary>Hash of that file.</summary>
    public required string Version { get; init; }

    /// <summary>Name of the files with its results: small letters, digits, <c>-</c>, <c>_</c> and <c>/</c>.</summary>
    public required string Name { get; init; }

    /// <summary>Its title, such as <c>AFQMC</c>.</summary>
    public required string Title { get; init; }

    /// <summary>Its type.</summary>
    public required TaskKind Kind { get; init; }

    /// <summary>Folder of its data below the root of all data.</summary>
    public required string Path { get; init; }

    /// <summary>What has to lie there, in words, where that is not at hand.</summary>
    public string? Data { get; init; }

    /// <summary>Groups of data files: name and patterns.</summary>
    public required IReadOnlyList<(string Name, IReadOnlyList<string> Patterns)> Groups { get; init; }

    /// <summary>Names of the metrics, the main one first.</summary>
    public required IReadOnlyList<string> Metrics { get; init; }

    /// <summary>Table of the report that it belongs to.</summary>
    public string? Suite { get; init; }

    /// <summary>What stands in for a Python class of the original.</summary>
    public OriginalModule Module { get; init; }

    /// <summary>How prompts are read.</summary>
    public required ReadingOptions Reading { get; init; }

    /// <summary>How text is generated.</summary>
    public GenerationOptions Generation { get; init; } = new();

    /// <summary>How the answer is found in what was generated.</summary>
    public AnswerExtraction Extraction { get; init; }

    /// <summary>Stride of windows of the type <c>lm</c>.</summary>
    public int? Stride { get; init; }

    /// <summary>How data files are read (<see cref="DataReader"/>); null for what their names say.</summary>
    public string? Format { get; init; }

    /// <summary>Names of the columns of a table without a first line that tells them.</summary>
    public IReadOnlyList<string>? Columns { get; init; }

    /// <summary>What separates the columns of a table, where the name of the file does not say.</summary>
    public char? Delimiter { get; init; }

    /// <summary>Records with one of these values in a field are no items.</summary>
    public IReadOnlyList<(string Field, IReadOnlyList<string> Values)> Skip { get; init; } = [];

    /// <summary>A template by whose value records of a data file become files of their own (subjects of MMLU).</summary>
    public Template? SplitBy { get; init; }

    /// <summary>The group of each value of <see cref="SplitBy"/>; null for the groups of the data files.</summary>
    public IReadOnlyDictionary<string, string>? SplitGroups { get; init; }

    /// <summary>Name of an item.</summary>
    public Template? Id { get; init; }

    /// <summary>Category of an item.</summary>
    public Template? Category { get; init; }

    /// <summary>What items that were not drawn independently have in common.</summary>
    public Template? Cluster { get; init; }

    /// <summary>The prompts; none for data in the original's form, which holds them.</summary>
    public IReadOnlyList<PromptDefinition> Prompts { get; init; } = [];

    /// <summary>Solved examples before each question.</summary>
    public int Shots { get; init; }

    /// <summary>Pattern of the files that examples are drawn from; null for the data itself without the item in question.</summary>
    public string? ShotPattern { get; init; }

    /// <summary>A template in whose value examples agree with the question.</summary>
    public Template? ShotBy { get; init; }

    /// <summary>Whether examples are drawn or the first ones taken.</summary>
    public bool ShotsInOrder { get; init; }

    /// <summary>What separates examples.</summary>
    public string Separator { get; init; } = "\n\n";

    /// <summary>Key of the draw of examples.</summary>
    public int Seed { get; init; }
}

/// <summary>Classes of the original that do more than their configuration says.</summary>
public enum OriginalModule
{
    /// <summary>None.</summary>
    None,

    /// <summary>LAMBADA: one word, found by beam search with forbidden tokens (spec 8.7).</summary>
    Lambada,

    /// <summary>The Pile: bits per byte by subset (spec 8.6).</summary>
    Pile,

    /// <summary>CrowS-Pairs: sentences of a pair against each other (spec 8.8).</summary>
    CrowsPairs,

    /// <summary>StereoSet: choices by log-probability per token (spec 8.8).</summary>
    StereoSet,
}

/// <summary>How the answer is found in what was generated.</summary>
public enum AnswerExtraction
{
    /// <summary>All of it.</summary>
    None,

    /// <summary>The first line with something in it.</summary>
    Line,

    /// <summary>The first sentence that is complete, or all of it where none is.</summary>
    Sentence,

    /// <summary>The designation of the best answer (ChatGLM spec 15.2).</summary>
    BestAnswer,

    /// <summary>The order of four parts (ChatGLM spec 15.2).</summary>
    Order,

    /// <summary>What follows the last "the answer is", up to the end of the sentence; nothing where that is not said (spec 8.8).</summary>
    Stated,

    /// <summary>As many words, or characters of scripts without spaces, as the target has.</summary>
    SameLength,
}

/// <summary>How a record becomes a question.</summary>
public sealed record PromptDefinition
{
    /// <summary>Its name in results.</summary>
    public required string Name { get; init; }

    /// <summary>What stands before everything, made from the question's record.</summary>
    public Template? Header { get; init; }

    /// <summary>The question, up to its answer; a <c>[MASK]</c> in it is where the answer stands.</summary>
    public required Template Text { get; init; }

    /// <summary>How the answer of an example is written; null for the choice or target itself.</summary>
    public Template? Answer { get; init; }

    /// <summary>The choices: one template that gives a list, or one for each.</summary>
    public IReadOnlyList<Template> Choices { get; init; } = [];

    /// <summary>The right choice: its index, or one of <see cref="Labels"/>.</summary>
    public Template? Label { get; init; }

    /// <summary>The right choice: its text.</summary>
    public Template? RightChoice { get; init; }

    /// <summary>What the label is for each choice, in their order.</summary>
    public IReadOnlyList<string>? Labels { get; init; }

    /// <summary>How good each choice is, where there is not one right.</summary>
    public Template? Scores { get; init; }

    /// <summary>What may be generated: one template that gives a text or a list, or several.</summary>
    public IReadOnlyList<Template> Targets { get; init; } = [];

    /// <summary>What would be said without reading the question, for the metric <c>exact</c>.</summary>
    public Template? Guess { get; init; }
}
